//! Parses the errors of S3 services, which differ between implementations, and maps them to their cause.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::{ObjectError, Reply};

/// The error of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceError {
    reply: Reply,
    /// The region that the service names.
    region: Option<String>,
}

/// The request that an error belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub(super) endpoint: &'a str,
    pub(super) bucket: &'a str,
    pub(super) region: &'a str,
}

impl ServiceError {
    /// Reads the status, the header `x-amz-bucket-region` and the body of a reply. A body that is not XML is
    /// ignored.
    pub(super) fn read(status: u16, region: Option<&str>, body: &str) -> Self {
        let element = |name| element(body, name);
        Self {
            reply: Reply {
                status,
                code: element("Code").unwrap_or_default(),
                message: element("Message").unwrap_or_default(),
            },
            region: region.map(str::to_owned).or_else(|| element("Region")),
        }
    }

    /// Whether the service refuses to replace an existing object.
    pub(super) fn is_unmet_condition(&self) -> bool {
        self.reply.status == 412
    }

    /// Whether a retry may succeed.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.reply.status, 429 | 500 | 502 | 503 | 504)
            || matches!(self.reply.code.as_str(), "SlowDown" | "RequestTimeout" | "InternalError")
    }

    /// Whether the object, or the upload, does not exist.
    pub(super) fn is_absence(&self) -> bool {
        match self.reply.code.as_str() {
            "" => self.reply.status == 404,
            code => matches!(code, "NoSuchKey" | "NoSuchUpload" | "NotFound"),
        }
    }

    /// Whether the bucket does not exist.
    pub(super) fn is_missing_bucket(&self) -> bool {
        self.reply.code == "NoSuchBucket"
    }

    /// Whether a bucket of that name exists already.
    pub(super) fn is_existing_bucket(&self) -> bool {
        matches!(self.reply.code.as_str(), "BucketAlreadyOwnedByYou" | "BucketAlreadyExists")
    }

    /// Whether the range holds none of the object's bytes.
    pub(super) fn is_range_outside(&self) -> bool {
        self.reply.status == 416
    }

    /// The cause of the error.
    pub(super) fn into_error(self, scene: RequestContext<'_>) -> ObjectError {
        let cause = self.cause();
        let (endpoint, bucket) = (scene.endpoint.to_owned(), scene.bucket.to_owned());
        let Self { reply, region: expected } = self;
        let reply = Box::new(reply);
        match cause {
            Cause::Credentials => ObjectError::CredentialsRefused { endpoint, reply },
            Cause::Region => {
                let configured = scene.region.to_owned();
                ObjectError::WrongRegion { endpoint, configured, expected, reply }
            }
            Cause::Clock => ObjectError::ClockSkewed { endpoint, reply },
            Cause::Bucket => ObjectError::NoBucket { endpoint, bucket },
            Cause::Permission => ObjectError::NoPermission { endpoint, bucket, reply },
            Cause::Other => ObjectError::Refused { endpoint, reply },
        }
    }

    fn cause(&self) -> Cause {
        match self.reply.code.as_str() {
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "NotSignedUp"
            | "InvalidSecurity"
            | "InvalidToken"
            | "ExpiredToken"
            | "TokenRefreshRequired" => Cause::Credentials,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException"
            | "InvalidLocationConstraint"
            | "InvalidRegionName" => Cause::Region,
            // Both errors concern the scope of the signature, of which only the region is configured.
            "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError" if self.names_region() => {
                Cause::Region
            }
            "RequestTimeTooSkewed" => Cause::Clock,
            "NoSuchBucket" => Cause::Bucket,
            // Garage has one code for all of these, and describes the cause in the message.
            "AccessDenied" if self.names_credentials() => Cause::Credentials,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "Forbidden" => Cause::Permission,
            _ if matches!(self.reply.status, 301 | 307) => Cause::Region,
            "" if matches!(self.reply.status, 401 | 403) => Cause::Permission,
            _ => Cause::Other,
        }
    }

    fn names_credentials(&self) -> bool {
        let message = self.reply.message.as_str();
        message.contains("Invalid signature") || message.contains("No such key:")
    }

    fn names_region(&self) -> bool {
        let message = self.reply.message.to_ascii_lowercase();
        self.region.is_some() || message.contains("region") || message.contains("scope")
    }
}

enum Cause {
    Credentials,
    Region,
    Clock,
    Bucket,
    Permission,
    Other,
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name.as_bytes() => {
                let text = reader.read_text(start.name()).ok()?;
                let text = text.decode().ok()?;
                return quick_xml::escape::unescape(&text).ok().map(|text| text.trim().to_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: RequestContext<'static> =
        RequestContext { endpoint: "http://s3", bucket: "b", region: "mitosis" };

    fn refusal(status: u16, code: &str, more: &str) -> ObjectError {
        let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{more}</Error>");
        ServiceError::read(status, None, &body).into_error(CONTEXT)
    }

    #[test]
    fn each_cause_has_its_own_error_and_hint() {
        for (error, expected, hint) in [
            (refusal(403, "SignatureDoesNotMatch", ""), "CredentialsRefused", "s3_secret_key"),
            (refusal(403, "InvalidAccessKeyId", ""), "CredentialsRefused", "s3_access_key"),
            (refusal(403, "AccessDenied", ""), "NoPermission", "allow the access key"),
            (refusal(403, "RequestTimeTooSkewed", ""), "ClockSkewed", "clocks"),
            (refusal(404, "NoSuchBucket", ""), "NoBucket", "create"),
            (refusal(301, "PermanentRedirect", ""), "WrongRegion", "s3_region"),
        ] {
            assert!(format!("{error:?}").starts_with(expected), "{error:?}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
        }
        assert!(matches!(refusal(400, "KeyTooLongError", ""), ObjectError::Refused { .. }));
    }

    #[test]
    fn region_is_found_in_header_or_body() {
        let named = refusal(
            400,
            "AuthorizationQueryParametersError",
            "<Message>the region is wrong; expecting &apos;us-east-1&apos;</Message><Region>us-east-1</Region>",
        );
        let ObjectError::WrongRegion { configured, expected, reply, .. } = named else { panic!("{named}") };
        assert_eq!((configured.as_str(), expected.as_deref()), ("mitosis", Some("us-east-1")));
        assert_eq!(reply.message, "the region is wrong; expecting 'us-east-1'");
        let unnamed = refusal(400, "AuthorizationHeaderMalformed", "<Message>unexpected scope</Message>");
        assert!(matches!(unnamed, ObjectError::WrongRegion { expected: None, .. }));
        let other = refusal(400, "AuthorizationQueryParametersError", "<Message>X-Amz-Expires</Message>");
        assert!(matches!(other, ObjectError::Refused { .. }));
    }

    #[test]
    fn garage_has_one_code_for_every_refusal() {
        for message in ["Forbidden: Invalid signature", "Forbidden: No such key: GK31c2f218a2e44f485b94239e"]
        {
            let error = refusal(403, "AccessDenied", &format!("<Message>{message}</Message>"));
            assert!(matches!(error, ObjectError::CredentialsRefused { .. }), "{error:?}");
        }
        let error = refusal(403, "AccessDenied", "<Message>Forbidden: Operation is not allowed</Message>");
        assert!(matches!(error, ObjectError::NoPermission { .. }), "{error:?}");
    }

    #[test]
    fn answer_without_xml_is_classified_by_status() {
        let judged = |status, body| ServiceError::read(status, None, body).into_error(CONTEXT);
        assert!(matches!(judged(403, ""), ObjectError::NoPermission { .. }));
        assert!(matches!(judged(404, "<html><body>nginx"), ObjectError::Refused { .. }));
        assert_eq!(judged(418, "{}").to_string(), "the object store at http://s3 answered: status 418");
        assert!(ServiceError::read(502, None, "bad gateway").is_transient());
        assert!(!ServiceError::read(403, None, "").is_transient());
    }
}
