// Files that the coordinator stores: links to them, and uploads.

import type { DownloadReply, UploadReply } from "../api/types";
import { ApiError, Unreachable, address, get, post } from "./api";

const OWN = "/v1/objects/";

/** A link of the coordinator as this page reaches it, or undefined if it is one of another storage service. */
export function own(link: string): URL | undefined {
  const at = link.indexOf(OWN);
  return at === -1 ? undefined : address(link.slice(at));
}

/** Lets the browser store a file. */
export async function download(path: string): Promise<void> {
  const { url } = await get<DownloadReply>(path);
  location.href = (own(url) ?? new URL(url)).href;
}

/** Reads a file; undefined if it is in a storage service, which this page does not contact. */
export async function read(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined> {
  const { url } = await get<DownloadReply>(path, signal);
  const link = own(url);
  if (!link) return undefined;
  const response = await fetch(link, { signal, credentials: "omit" });
  if (!response.ok) throw new ApiError(response.status, {});
  return response.body as ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** Stores a file of the user as an attachment of a group. */
export async function upload(group: string, key: string, file: File, progress: (part: number) => void): Promise<void> {
  const request = { key, content_length: file.size };
  const { url } = await post<UploadReply>(`/groups/${encodeURIComponent(group)}/attachments`, request);
  const link = own(url);
  if (!link) throw new Error("this coordinator stores files elsewhere; upload with `mito files upload`");
  // A fetch does not report its progress.
  await new Promise<void>((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", link);
    sending.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 1);
    sending.onload = () => {
      if (sending.status < 300) return resolve();
      let body = {};
      try {
        body = JSON.parse(sending.responseText) as object;
      } catch {
        // The status has to do.
      }
      reject(new ApiError(sending.status, body));
    };
    sending.onerror = () => reject(new Unreachable());
    sending.send(file);
  });
}
