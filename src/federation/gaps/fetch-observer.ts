// Who is told how the fetching of a state goes on.

import type { ServerName } from '../../event/ids.js';
import type { StateroomError } from '../../lib/errors.js';

export interface FetchObserver {
  /** A server said what the state is and rests on: so many events, of which so many are known. */
  readonly claimed: (needed: number, known: number) => void;
  /** So many more are known. */
  readonly taken: (events: number) => void;
  /** A server failed in one of the ways of servers. */
  readonly failed: (server: ServerName, error: StateroomError) => void;
}
