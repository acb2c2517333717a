// What crosses between the pool and its reader threads. Errors lose their class, code and fields on the way,
// so they travel as plain data and are made anew.

import { StateroomError } from '../lib/errors.js';
import type { Answer } from './answer.js';
import type { Query } from './query.js';
import type { Outcome } from './runner.js';

/** What a reader thread is started with. */
export interface ThreadSettings {
  /** The store's real path: LevelDB knows a database that is open already by this very string. */
  readonly path: string;
  readonly nodeCacheBytes: number;
  /** Shared by all threads; its first element is 1 once the pool closes. */
  readonly stop: Int32Array;
}

/** One query of a message. */
export interface Ask {
  readonly query: Query;
  readonly watermark: number;
  readonly timeoutMs: number;
  /** Milliseconds of that which are gone already. */
  readonly elapsedMs: number;
}

/** A StateroomError as plain data. */
export type Fault = ReturnType<StateroomError['toJSON']>;

export type Reply = { readonly answer: Answer } | { readonly fault: Fault };

export function replyOf(outcome: Outcome): Reply {
  return outcome.ok ? { answer: outcome.answer } : { fault: outcome.error.toJSON() };
}

export function outcomeOfReply(reply: Reply): Outcome {
  if ('answer' in reply) return { ok: true, answer: reply.answer };
  const { code, message, fields } = reply.fault;
  return { ok: false, error: new StateroomError(code, message, fields) };
}
