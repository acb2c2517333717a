// A server of another make, as far as a benchmark needs one: it publishes a key, signs what it sends, and lets
// others join the rooms that it scripted, and gives what they miss of them.
//
// It answers everything else with 404, and what is sent to it with an empty answer: it keeps nothing.

import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import type { ServerName } from '../../src/event/ids.js';
import { isArray, type JsonObject, own, parseJson } from '../../src/event/json.js';
import { createSigningKey, signJson, type SigningKey } from '../../src/event/signing.js';
import { requestBody, signRequest } from '../../src/federation/identity/x-matrix.js';
import { toBase64 } from '../../src/lib/base64.js';
import { utf8 } from '../../src/lib/bytes.js';
import { Random, seedBytes } from '../generate/random.js';
import type { ScriptedRoom } from './scripted-room.js';

const KEYS_GOOD_MS = 86_400_000;

/** Where a server listens with TLS, under the name that it has. */
export interface Place {
  readonly serverName: string;
  readonly port: number;
}

/** A request that is signed already. */
export interface SignedRequest {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly uri: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export class OriginServer {
  readonly #server: Server;
  readonly #agent: Agent;
  readonly #rooms = new Map<string, ScriptedRoom>();
  readonly serverName: ServerName;
  readonly key: SigningKey;
  #transactions = 0;

  private constructor(server: Server, agent: Agent, key: SigningKey) {
    this.#server = server;
    this.#agent = agent;
    this.key = key;
    this.serverName = `localhost:${(server.address() as AddressInfo).port}` as ServerName;
  }

  /** Listens on a free port of this machine. @param tls PEM; the certificate is one for `localhost` */
  static async start(
    tls: { readonly cert: string; readonly key: string; readonly ca: string },
    seed: string,
  ): Promise<OriginServer> {
    const server = createServer({ cert: tls.cert, key: tls.key });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const keyId = `ed25519:a_${new Random(seed, 'key id').token(4)}`;
    const key = createSigningKey(keyId, seedBytes(seed, 'signing key'));
    const agent = new Agent({
      connect: { ca: tls.ca, servername: 'localhost' },
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const origin = new OriginServer(server, agent, key);
    server.on('request', (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const answer = origin.#answer(incoming.url ?? '', Buffer.concat(chunks));
        const bytes = utf8(JSON.stringify(answer ?? { errcode: 'M_NOT_FOUND', error: 'not here' }));
        outgoing.writeHead(answer === undefined ? 404 : 200, {
          'content-type': 'application/json',
          'content-length': bytes.length,
        });
        outgoing.end(bytes);
      });
    });
    return origin;
  }

  /** Others may join this room here from now on. */
  opens(room: ScriptedRoom): void {
    this.#rooms.set(room.roomId, room);
  }

  /** A request to be sent later: what signing costs is spent now. */
  signed(
    method: SignedRequest['method'],
    uri: string,
    { serverName }: Pick<Place, 'serverName'>,
    content?: JsonObject,
  ): SignedRequest {
    const destination = serverName as ServerName;
    const authorization = signRequest(
      { method, uri, origin: this.serverName, destination, content },
      this.key,
    );
    if (content === undefined) return { method, uri, headers: { authorization } };
    const headers = { authorization, 'content-type': 'application/json' };
    return { method, uri, headers, body: requestBody(content) };
  }

  /** A transaction of events, to be sent later. */
  transaction(pdus: readonly JsonObject[], place: Pick<Place, 'serverName'>): SignedRequest {
    const content = { origin: this.serverName, origin_server_ts: Date.now(), pdus, edus: [] };
    return this.signed('PUT', `/_matrix/federation/v1/send/t${++this.#transactions}`, place, content);
  }

  /** The bytes of a good answer. @throws Error with the answer where it is none */
  async send({ method, uri, headers, body }: SignedRequest, { port }: Pick<Place, 'port'>): Promise<Buffer> {
    const answer = await request(`https://localhost:${port}${uri}`, {
      method,
      headers: { ...headers },
      dispatcher: this.#agent,
      ...(body === undefined ? {} : { body }),
    });
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    if (answer.statusCode === 200) return bytes;
    throw new Error(`${method} ${uri}: ${answer.statusCode} ${bytes.toString('utf8', 0, 500)}`);
  }

  async close(): Promise<void> {
    await this.#agent.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(uri: string, body: Uint8Array): JsonObject | undefined {
    const parts = (uri.split('?')[0] ?? '').split('/').map(decodeURIComponent);
    const [, , api = '', , deed = '', roomId = '', subject = ''] = parts;
    if (api === 'key') return this.#publishedKey();
    if (deed === 'send') return { pdus: {} };
    const room = this.#rooms.get(roomId);
    if (deed === 'make_join') return room?.joinTemplate(subject);
    if (deed === 'send_join') return room?.takeJoin(parseJson(body) as JsonObject);
    if (deed === 'get_missing_events')
      return room === undefined ? undefined : missingIn(room, parseJson(body) as JsonObject);
    return undefined;
  }

  #publishedKey(): JsonObject {
    const { keyId, publicKey } = this.key;
    return signJson(
      {
        server_name: this.serverName,
        verify_keys: { [keyId]: { key: toBase64(publicKey) } },
        old_verify_keys: {},
        valid_until_ts: Date.now() + KEYS_GOOD_MS,
      },
      this.serverName,
      this.key,
    );
  }
}

function missingIn(room: ScriptedRoom, question: JsonObject): JsonObject {
  const [latest, earliest] = [own(question, 'latest_events'), own(question, 'earliest_events')];
  const limit = own(question, 'limit');
  if (!isArray(latest) || !isArray(earliest)) return { events: [] };
  return { events: room.missing(latest, earliest, typeof limit === 'number' ? limit : 10) };
}
