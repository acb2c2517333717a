// A user of any homeserver, as far as the comparison needs one.

import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';

/** Asked again after this part of the time so far: what asking costs stays small beside what is waited for. */
const POLL_PART = 0.05;
const POLL_MS_MIN = 2;
const PATIENCE_MS = 120_000;

// biome-ignore format: one line a shape
type Json = { readonly [key: string]: unknown };

export class User {
  readonly address: string;
  readonly userId: string;
  readonly token: string;

  private constructor(address: string, login: Json) {
    this.address = address;
    this.userId = String(login['user_id']);
    this.token = String(login['access_token']);
  }

  static async register(address: string, username: string): Promise<User> {
    const body = { username, password: `password of ${username}`, auth: { type: 'm.login.dummy' } };
    return new User(address, await call(address, 'POST', '/v3/register', body));
  }

  /** A good answer. @throws Error with the answer where it is none */
  call(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<Json> {
    return call(this.address, method, path, body, this.token);
  }

  async createRoom(): Promise<string> {
    return String((await this.call('POST', '/v3/createRoom', { preset: 'public_chat' }))['room_id']);
  }

  async join(roomId: string, via?: string): Promise<void> {
    const query = via === undefined ? '' : `?server_name=${encodeURIComponent(via)}`;
    await this.call('POST', `/v3/join/${encodeURIComponent(roomId)}${query}`, {});
  }

  /** Resolves when an event of a room can be read. */
  async sees(roomId: string, eventId: string): Promise<void> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(eventId)}`;
    const start = performance.now();
    for (let waited = 0; waited < PATIENCE_MS; waited = performance.now() - start) {
      const { statusCode, body } = await request(`${this.address}${path}`, {
        headers: { authorization: `Bearer ${this.token}` },
      });
      await body.dump();
      if (statusCode === 200) return;
      await sleep(Math.max(POLL_MS_MIN, waited * POLL_PART));
    }
    throw new Error(`${this.userId} does not see ${eventId}`);
  }

  /** The token of a first sync. */
  async sync(limit: number): Promise<string> {
    const path = `/v3/sync?timeout=0&filter=${encodeURIComponent(filterOf(limit))}`;
    return String((await this.call('GET', path))['next_batch']);
  }

  /**
   * Syncs until the last event of every room was shown.
   * @param last event ids by room; events come in order
   * @returns the token of the last sync
   */
  async syncUntil(since: string, limit: number, last: ReadonlyMap<string, string>): Promise<string> {
    const left = new Map(last);
    let token = since;
    while (left.size > 0) {
      const path = `/v3/sync?timeout=30000&since=${token}&filter=${encodeURIComponent(filterOf(limit))}`;
      const answer: SyncAnswer = await this.call('GET', path);
      for (const [roomId, { timeline }] of Object.entries(answer.rooms?.join ?? {})) {
        if (timeline.events.some(({ event_id }) => event_id === left.get(roomId))) left.delete(roomId);
      }
      token = answer.next_batch ?? token;
    }
    return token;
  }

  /** Bytes of a first sync. @param limit of the timeline: no two are alike, or the answer before would be given again */
  async initialSync(limit: number): Promise<number> {
    const filter = encodeURIComponent(filterOf(limit));
    const path = `${this.address}/_matrix/client/v3/sync?timeout=0&filter=${filter}`;
    const { statusCode, body } = await request(path, {
      headers: { authorization: `Bearer ${this.token}` },
      headersTimeout: PATIENCE_MS,
    });
    const bytes = (await body.arrayBuffer()).byteLength;
    if (statusCode !== 200) throw new Error(`a first sync is answered with ${statusCode}`);
    return bytes;
  }
}

interface SyncAnswer {
  readonly next_batch?: string;
  readonly rooms?: {
    readonly join?: Readonly<
      Record<string, { readonly timeline: { readonly events: readonly { readonly event_id: string }[] } }>
    >;
  };
}

function filterOf(limit: number): string {
  return JSON.stringify({ room: { timeline: { limit } } });
}

async function call(
  address: string,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body: object | undefined,
  token?: string,
): Promise<Json> {
  const answer = await request(`${address}/_matrix/client${path}`, {
    method,
    headersTimeout: PATIENCE_MS,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const json = (await answer.body.json()) as Json;
  if (answer.statusCode === 200) return json;
  throw new Error(`${method} ${path}: ${answer.statusCode} ${JSON.stringify(json).slice(0, 500)}`);
}
