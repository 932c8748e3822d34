// Whether the coordinator can be reached. All requests report here.

class Connection {
  /** Since when it can't be reached. */
  lostAt = $state<number | undefined>(undefined);

  get isLost(): boolean {
    return this.lostAt !== undefined;
  }

  lost(): void {
    this.lostAt ??= Date.now();
  }

  found(): void {
    this.lostAt = undefined;
  }
}

export const connection = new Connection();
