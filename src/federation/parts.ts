// What every part of federation is given. Time, chance and the network come from outside, so that tests run the
// real code on a clock of their own.

import type { Accounts } from '../account/accounts.js';
import type { Engine } from '../engine/engine.js';
import type { ServerName } from '../event/ids.js';
import { internalRoomId } from '../event/internal.js';
import type { SigningKey } from '../event/signing.js';
import type { GapOptions } from './gaps/options.js';
import type { RetiredKey } from './identity/server-keys.js';
import type { InputOptions } from './inbound/options.js';
import type { FederationOptions } from './options.js';
import type { SenderOptions } from './outbound/options.js';
import type { ResyncOptions } from './resync/options.js';
import type { Transport } from './transport.js';

/** What is told of what happens; pino's loggers fit. */
export interface FederationLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

export interface FederationParts {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly serverName: ServerName;
  readonly transport: Transport;
  /** The key that signs now; it may change under the same object when keys are rotated. */
  readonly signingKey: SigningKey;
  /** Keys that signed before. */
  readonly retiredKeys?: () => readonly RetiredKey[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Does the work after that many milliseconds, unless what it returns is called before. */
  readonly after: (ms: number, work: () => void) => () => void;
  readonly log: FederationLog;
  readonly options: FederationOptions;
  /** Limits of single parts, where they are not what their own options say. */
  readonly tuning?: {
    readonly input?: Partial<InputOptions>;
    readonly gaps?: Partial<GapOptions>;
    readonly sender?: Partial<SenderOptions>;
    readonly resync?: Partial<ResyncOptions>;
  };
}

/** The internal room of what is known of other servers: keys, backoff. */
export const SERVERS_ROOM = internalRoomId('servers');

/** The `after` of running servers: timers that do not keep the process alive. */
export function afterReal(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
