// What every handler is given: the engine, the accounts, and what lives in memory only.

import type { Engine } from '../engine/engine.js';
import type { ServerName } from '../event/ids.js';
import type { Accounts } from '../account/accounts.js';
import type { Federation } from '../federation/federation.js';
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
  /** How long a request waits for members of a room that are not known yet, milliseconds. */
  readonly partialStateWaitMs: number;
  /** Lifetime of access tokens of clients that can refresh them, milliseconds. */
  readonly accessTokenLifetimeMs: number;
}

/** Wrong passwords, counted by account. */
export interface PasswordAttempts {
  /** Counts an attempt. @returns 0 when there may be one, else in how many milliseconds */
  readonly take: (account: string) => number;
  /** An attempt does not count: it was right. */
  readonly giveBack: (account: string) => void;
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
  /** Absent where nothing is limited. */
  readonly passwordAttempts?: PasswordAttempts;
  /** Other servers; undefined where this one keeps to itself. */
  readonly federation?: Federation;
  /** Makes a signing key that signs from now on. @returns its id; absent where no key file is kept */
  readonly rotateSigningKey?: () => Promise<string>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
