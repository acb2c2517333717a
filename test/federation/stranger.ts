// A server made by hand: it serves its keys, signs what it sends, and answers all else as a test tells it.

import type { ServerName } from '../../src/event/ids.js';
import { isObject, type JsonObject, parseJson } from '../../src/event/json.js';
import { createSigningKey, signJson, type SigningKey } from '../../src/event/signing.js';
import { requestBody } from '../../src/federation/identity/x-matrix.js';
import type { IncomingAnswer, OutgoingRequest, Transport } from '../../src/federation/transport.js';
import { toBase64 } from '../../src/lib/base64.js';
import { utf8 } from '../../src/lib/bytes.js';

/** What it needs of the network that it is in. */
interface StrangersNetwork {
  readonly clock: { readonly now: number };
  transport(from: ServerName): Transport;
}

/** How a server made by hand answers. */
export type Answers = (request: {
  readonly method: string;
  readonly uri: string;
  readonly origin: ServerName;
  readonly body: JsonObject;
}) =>
  | { readonly status?: number; readonly body: JsonObject | string }
  | undefined
  | Promise<{ readonly status?: number; readonly body: JsonObject | string } | undefined>;

/** A server made by hand. */
export class Stranger {
  readonly name: ServerName;
  readonly key: SigningKey;
  /** How it answers; tests may set it at any time. */
  answers: Answers;
  readonly #network: StrangersNetwork;

  constructor(net: StrangersNetwork, name: ServerName, answers: Answers) {
    this.#network = net;
    this.name = name;
    this.key = keyOf(name);
    this.answers = answers;
  }

  /** What it publishes of its keys; a test may give something else by `answers`. */
  keys(): JsonObject {
    return signJson(
      {
        server_name: this.name,
        verify_keys: { [this.key.keyId]: { key: toBase64(this.key.publicKey) } },
        old_verify_keys: {},
        valid_until_ts: this.#network.clock.now + 86_400_000,
      },
      this.name,
      this.key,
    );
  }

  /** Sends a request that it signs. */
  async ask(
    to: ServerName,
    method: OutgoingRequest['method'],
    uri: string,
    body?: JsonObject,
  ): Promise<{ readonly status: number; readonly body: JsonObject }> {
    const answer = await this.#network.transport(this.name).send({
      destination: to,
      method,
      uri,
      ...(body === undefined ? {} : { body }),
      isSigned: true,
      timeoutMs: 30_000,
      bytesMax: 64 * 1024 * 1024,
    });
    const value = parseJson(answer.bytes);
    return { status: answer.status, body: isObject(value) ? value : { answer: value } };
  }

  async answer(origin: ServerName, { method, uri, body = {} }: OutgoingRequest): Promise<IncomingAnswer> {
    const told = await this.answers({ method, uri, origin, body });
    if (told !== undefined) {
      const bytes = typeof told.body === 'string' ? utf8(told.body) : requestBody(told.body);
      return { status: told.status ?? 200, bytes };
    }
    if (uri.startsWith('/_matrix/key/v2/server')) return { status: 200, bytes: requestBody(this.keys()) };
    return { status: 404, bytes: utf8('{"errcode":"M_NOT_FOUND","error":"not here"}') };
  }
}

/** The signing key of a server of the tests. */
export function keyOf(name: string): SigningKey {
  const seed = new Uint8Array(32);
  seed.set(utf8(name).subarray(0, 32));
  return createSigningKey('ed25519:t', seed);
}
