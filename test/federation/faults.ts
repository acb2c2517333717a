// What may happen to a request between two servers, and how it looks to who sent it.

import type { ServerName } from '../../src/event/ids.js';
import { isObject, type JsonObject, parseJson } from '../../src/event/json.js';
import { utf8 } from '../../src/lib/bytes.js';
import { UnreachableError } from '../../src/federation/errors.js';
import { requestBody } from '../../src/federation/identity/x-matrix.js';
import type { IncomingAnswer, OutgoingRequest } from '../../src/federation/transport.js';
import type { TestClock } from './clock.js';

/** One request on its way. */
export interface Exchange {
  readonly from: ServerName;
  readonly to: ServerName;
  readonly request: OutgoingRequest;
  /** Counted over the whole network, from 0. */
  readonly number: number;
}

export type Fault =
  /** It never arrives. */
  | { readonly kind: 'drop' }
  /** It arrives and is worked on; the answer is lost. */
  | { readonly kind: 'drop-answer' }
  /** It arrives later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** It arrives twice; the second answer counts. */
  | { readonly kind: 'duplicate' }
  /** It waits until the next request from the same to the same has arrived, or a second has passed. */
  | { readonly kind: 'reorder' }
  /** The answer ends early. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** The answer is something else. */
  | { readonly kind: 'garbage'; readonly text?: string; readonly status?: number }
  /** The answer, where it is a good one, says something else. */
  | { readonly kind: 'alter'; readonly change: (answer: JsonObject) => JsonObject }
  /** It is not worked on, and answered with an error. */
  | { readonly kind: 'refuse'; readonly status: number; readonly errcode: string }
  /** Nothing happens until the sender's time is over. */
  | { readonly kind: 'hang' };

/** Decides what happens to a request; undefined lets it through. */
export type Faults = (exchange: Exchange) => Fault | undefined;

const REORDER_MS = 1_000;

export class FaultyLine {
  readonly #clock: TestClock;
  readonly #deliver: (exchange: Exchange) => Promise<IncomingAnswer>;
  /** Requests that wait for one that overtakes them, by sender and destination. */
  readonly #waiting = new Map<string, Array<() => void>>();

  constructor(clock: TestClock, deliver: (exchange: Exchange) => Promise<IncomingAnswer>) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  async send(exchange: Exchange, fault: Fault | undefined): Promise<IncomingAnswer> {
    if (fault?.kind === 'reorder') await this.#overtaken(exchange);
    try {
      return await this.#through(exchange, fault);
    } finally {
      if (fault?.kind !== 'reorder') this.#release(exchange);
    }
  }

  async #through(exchange: Exchange, fault: Fault | undefined): Promise<IncomingAnswer> {
    switch (fault?.kind) {
      case 'drop':
        throw lost(exchange);
      case 'drop-answer':
        await this.#deliver(exchange);
        throw lost(exchange);
      case 'hang':
        await this.#pass(exchange.request.timeoutMs, exchange.request.signal);
        throw lost(exchange);
      case 'delay':
        await this.#pass(fault.ms, exchange.request.signal);
        return this.#deliver(exchange);
      case 'duplicate':
        await this.#deliver(exchange);
        return this.#deliver(exchange);
      case 'truncate': {
        const answer = await this.#deliver(exchange);
        return { ...answer, bytes: answer.bytes.subarray(0, fault.bytes) };
      }
      case 'alter': {
        const answer = await this.#deliver(exchange);
        const body = parseJson(answer.bytes);
        if (answer.status !== 200 || !isObject(body)) return answer;
        return { ...answer, bytes: requestBody(fault.change(body)) };
      }
      case 'refuse':
        return { status: fault.status, bytes: utf8(JSON.stringify({ errcode: fault.errcode, error: 'no' })) };
      case 'garbage':
        await this.#deliver(exchange);
        return { status: fault.status ?? 200, bytes: utf8(fault.text ?? '<html>\u0000{]') };
      default:
        return this.#deliver(exchange);
    }
  }

  #pass(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });
  }

  #overtaken(exchange: Exchange): Promise<void> {
    return new Promise((resolve) => {
      const name = pairOf(exchange);
      this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), resolve]);
      this.#clock.after(REORDER_MS, resolve);
      // Who gives up waiting does not wait for the clock.
      exchange.request.signal?.addEventListener('abort', () => resolve());
    });
  }

  #release(exchange: Exchange): void {
    const waiting = this.#waiting.get(pairOf(exchange)) ?? [];
    this.#waiting.delete(pairOf(exchange));
    for (const go of waiting) go();
  }
}

export function lost({ to }: Pick<Exchange, 'to'>): Error {
  return new UnreachableError(`no answer came from ${to}`, { destination: to });
}

function pairOf({ from, to }: Exchange): string {
  return `${from} ${to}`;
}
