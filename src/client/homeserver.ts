// What every handler is given: the engine, the accounts, and what lives in memory only.

import type { Engine } from '../engine/engine.js';
import type { ServerName } from '../event/ids.js';
import type { Accounts } from '../account/accounts.js';
import type { Ephemeral } from './ephemeral.js';
import type { Notifier } from './sync/notifier.js';
import type { UiaSessions } from './uia-sessions.js';

/** Limits and switches that handlers read. */
export interface HomeserverOptions {
  readonly serverName: ServerName;
  /** The address clients use, for `.well-known` and the landing page. */
  readonly publicBaseUrl: string;
  readonly isRegistrationOpen: boolean;
  /** Tokens that allow registration while it is closed. */
  readonly registrationTokens: readonly string[];
  readonly defaultRoomVersion: string;
  /** Longest long poll that is granted, milliseconds. */
  readonly syncTimeoutMsMax: number;
  /** Lifetime of access tokens of clients that can refresh them, milliseconds. */
  readonly accessTokenLifetimeMs: number;
}

/** The homeserver as handlers see it. Nothing here is a singleton. */
export interface Homeserver {
  readonly options: HomeserverOptions;
  readonly engine: Engine;
  readonly accounts: Accounts;
  /** Typing and presence. */
  readonly ephemeral: Ephemeral;
  /** Wakes long polls. */
  readonly notifier: Notifier;
  /** Clients on their way through user-interactive authentication. */
  readonly uiaSessions: UiaSessions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
