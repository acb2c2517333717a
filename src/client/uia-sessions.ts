// Sessions of user-interactive authentication: in memory, bounded in number and in time.

import { randomBytes } from 'node:crypto';

const SESSION_LIFETIME_MS = 15 * 60_000;
const SESSIONS_MAX = 10_000;

/** What a client has shown so far on its way through a flow. */
export interface UiaSession {
  readonly id: string;
  /** What is to be done when all is shown: the session is worth nothing for anything else. */
  readonly purpose: string;
  readonly completed: string[];
  readonly endsAt: number;
}

export class UiaSessions {
  readonly #now: () => number;
  /** Oldest first, which is also the order in which they end. */
  readonly #sessions = new Map<string, UiaSession>();

  /** @param options `now`: milliseconds since 1970 */
  constructor(options: { readonly now: () => number }) {
    this.#now = options.now;
  }

  /** How many are kept. */
  get size(): number {
    return this.#sessions.size;
  }

  begin(purpose: string): UiaSession {
    this.#dropEnded();
    const id = randomBytes(18).toString('base64url');
    const session = { id, purpose, completed: [], endsAt: this.#now() + SESSION_LIFETIME_MS };
    this.#sessions.set(id, session);
    return session;
  }

  /** A session that was begun for this purpose and has not ended. */
  find(id: string, purpose: string): UiaSession | undefined {
    const session = this.#sessions.get(id);
    return session?.purpose === purpose && session.endsAt > this.#now() ? session : undefined;
  }

  /** What the session was for is being done: it is not done twice. */
  end(session: UiaSession): void {
    this.#sessions.delete(session.id);
  }

  #dropEnded(): void {
    for (const session of this.#sessions.values()) {
      if (session.endsAt > this.#now() && this.#sessions.size < SESSIONS_MAX) return;
      this.#sessions.delete(session.id);
    }
  }
}
