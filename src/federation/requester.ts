// One request to another server: bounded in time and bytes, its answer JSON, its failures typed.
//
// Every answer and every failure feeds the backoff of the server asked.

import type { ServerName } from '../event/ids.js';
import { isObject, type JsonObject, type JsonValue, own, parseJson } from '../event/json.js';
import { StateroomError } from '../lib/errors.js';
import type { Destinations } from './destinations.js';
import { BadAnswerError, RefusedError, UnreachableError } from './errors.js';
import { parseLargeObject } from './large-answers.js';
import type { FederationParts } from './parts.js';
import type { IncomingAnswer, OutgoingRequest } from './transport.js';

/** Bounds of one request; those left out are those of the options. */
export interface RequestLimits {
  readonly timeoutMs?: number | undefined;
  readonly bytesMax?: number | undefined;
  /** Ask although the server failed not long ago. */
  readonly evenBackingOff?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

type QueryValue = string | number | boolean | readonly string[] | undefined;
type Query = Readonly<Record<string, QueryValue>>;

/** What requests need. */
export type RequestParts = Pick<FederationParts, 'transport' | 'options' | 'now'> & {
  readonly destinations: Destinations;
};

/** How a request ended. */
type RequestOutcome = 'answered' | 'refused' | 'bad_answer' | 'unreachable' | 'backing_off';

/** Answers that are read in turns. */
const LARGE_BYTES = 256 * 1024;
const SAYS_LENGTH_MAX = 200;
const ERRCODE = /^[A-Za-z0-9_.]{1,100}$/;

/** A path, its parts percent-encoded: `` path`/_matrix/federation/v1/event/${eventId}` `` */
export function path(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts.reduce((made, part, i) => `${made}${encodeURIComponent(values[i - 1] ?? '')}${part}`);
}

export class Requester {
  protected readonly parts: RequestParts;
  readonly #counts = new Map<RequestOutcome, number>();

  constructor(parts: RequestParts) {
    this.parts = parts;
  }

  /** Requests since the start, by how they ended. */
  get counts(): ReadonlyMap<RequestOutcome, number> {
    return this.#counts;
  }

  /**
   * @param path percent-encoded; see the tag `path`
   * @throws FEDERATION_UNREACHABLE, FEDERATION_REFUSED (status, errcode), FEDERATION_BAD_ANSWER,
   *   FEDERATION_BACKING_OFF, FEDERATION_ADDRESS_FORBIDDEN
   */
  get(destination: ServerName, path: string, query: Query = {}, limits?: RequestLimits): Promise<JsonObject> {
    return this.json({ destination, method: 'GET', uri: `${path}${queryText(query)}` }, limits);
  }

  /** @throws as `get` */
  put(
    destination: ServerName,
    path: string,
    body: JsonObject,
    query: Query = {},
    limits?: RequestLimits,
  ): Promise<JsonObject> {
    return this.json({ destination, method: 'PUT', uri: `${path}${queryText(query)}`, body }, limits);
  }

  /** @throws as `get` */
  post(
    destination: ServerName,
    path: string,
    body: JsonObject,
    query: Query = {},
    limits?: RequestLimits,
  ): Promise<JsonObject> {
    return this.json({ destination, method: 'POST', uri: `${path}${queryText(query)}`, body }, limits);
  }

  /**
   * The bytes of a good answer, for who reads a large one in their own way.
   * @throws as `get`, but never FEDERATION_BAD_ANSWER
   */
  bytes(
    request: Pick<OutgoingRequest, 'destination' | 'method' | 'uri' | 'body'>,
    limits: RequestLimits = {},
  ): Promise<Uint8Array> {
    return this.#send({ ...request, isSigned: true }, limits);
  }

  /** The object that the answer is. @throws as `get` */
  protected async json(
    request: Pick<OutgoingRequest, 'destination' | 'method' | 'uri' | 'body'>,
    limits: RequestLimits = {},
    isSigned = true,
  ): Promise<JsonObject> {
    const bytes = await this.#send({ ...request, isSigned }, limits);
    const value = await parsedAnswer(bytes);
    if (isObject(value)) return value;
    this.#count('bad_answer');
    throw badAnswer(request.destination, 'it is no JSON object');
  }

  async #send(
    request: Pick<OutgoingRequest, 'destination' | 'method' | 'uri' | 'body' | 'isSigned'>,
    limits: RequestLimits,
  ): Promise<Uint8Array> {
    const { transport, destinations, options } = this.parts;
    const { destination } = request;
    if (limits.evenBackingOff !== true && destinations.isBackingOff(destination)) {
      this.#count('backing_off');
      destinations.assertMayAsk(destination);
    }
    const answer = await this.#answer(destination, () =>
      transport.send({
        ...request,
        timeoutMs: limits.timeoutMs ?? options.requestTimeoutMs,
        bytesMax: limits.bytesMax ?? options.answerBytesMax,
        ...(limits.signal === undefined ? {} : { signal: limits.signal }),
      }),
    );
    if (answer.status >= 200 && answer.status < 300) {
      this.#count('answered');
      return answer.bytes;
    }
    this.#count('refused');
    throw refusalOf(destination, answer);
  }

  /** The answer, whatever it says; the destination's backoff learns of it. */
  async #answer(destination: ServerName, send: () => Promise<IncomingAnswer>): Promise<IncomingAnswer> {
    const { destinations } = this.parts;
    let answer: IncomingAnswer;
    try {
      answer = await send();
    } catch (error) {
      // Who gave up waiting is no proof against the server.
      const isTheirs = !(error instanceof StateroomError && error.fields['aborted'] === true);
      if (isTheirs && error instanceof StateroomError) destinations.failed(destination, error.message);
      this.#count('unreachable');
      throw error instanceof StateroomError
        ? error
        : new UnreachableError(`no answer came from ${destination}`, { destination }, error);
    }
    const said = `it answered ${answer.status}`;
    if (answer.status >= 500) destinations.failed(destination, said, answer.retryAfterMs);
    else if (answer.status === 429 && answer.retryAfterMs !== undefined) {
      destinations.failed(destination, said, answer.retryAfterMs);
    } else destinations.heard(destination);
    return answer;
  }

  #count(outcome: RequestOutcome): void {
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
  }
}

function queryText(query: Query): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const values = typeof value === 'object' ? value : [String(value)];
    return values.map((one) => `${name}=${encodeURIComponent(one)}`);
  });
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** Undefined for what is no JSON, and for what is large and no object. */
async function parsedAnswer(bytes: Uint8Array): Promise<JsonValue | undefined> {
  if (bytes.length < LARGE_BYTES) return parsed(bytes);
  try {
    return await parseLargeObject(bytes);
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

function parsed(bytes: Uint8Array): JsonValue | undefined {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

function refusalOf(destination: ServerName, { status, bytes }: IncomingAnswer): RefusedError {
  const body = bytes.length > 65_536 ? undefined : parsed(bytes);
  const fields = isObject(body) ? body : {};
  const errcode = own(fields, 'errcode');
  const says = own(fields, 'error');
  const roomVersion = own(fields, 'room_version');
  return new RefusedError(destination, {
    status,
    errcode: typeof errcode === 'string' && ERRCODE.test(errcode) ? errcode : 'M_UNKNOWN',
    says: typeof says === 'string' ? says.slice(0, SAYS_LENGTH_MAX) : '',
    roomVersion: typeof roomVersion === 'string' ? roomVersion.slice(0, SAYS_LENGTH_MAX) : undefined,
  });
}

/** The answer is not what it should be. */
export function badAnswer(destination: ServerName, why: string) {
  return new BadAnswerError(`the answer of ${destination} cannot be used: ${why}`, { destination });
}
