// A user of any homeserver, by the client-server API alone: what a test asks for in plain requests, and what
// /sync told so far.

import { setTimeout as sleep } from 'node:timers/promises';

/** The client has this long to see what it should; far more than it ever needs. */
const PATIENCE_MS = 30_000;
const POLL_MS = 50;
/** Nothing is left out of a timeline. */
const TIMELINE = { limit: 500 };
const FILTER = JSON.stringify({ room: { timeline: TIMELINE } });
const LAZY_FILTER = JSON.stringify({
  room: { timeline: TIMELINE, state: { lazy_load_members: true } },
});

// biome-ignore format: one line a shape
export type Json = { readonly [key: string]: unknown };

/** An event as clients see it. */
export interface SeenEvent {
  readonly event_id: string;
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: Json;
  readonly unsigned?: Json;
  readonly redacts?: string;
}

/** An answer that is not the expected one. */
export class RequestFailure extends Error {
  readonly status: number;
  readonly body: Json;

  constructor(request: string, status: number, body: Json) {
    super(`${request}: ${status} ${JSON.stringify(body)}`);
    this.status = status;
    this.body = body;
  }
}

interface SeenRoom {
  readonly timeline: SeenEvent[];
  readonly ephemeral: Json[];
}

export class MatrixUser {
  readonly address: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly #token: string;
  #since: string | undefined;
  #txn = 0;
  readonly #rooms = new Map<string, SeenRoom>();
  readonly #invites = new Map<string, SeenEvent[]>();
  readonly toDevice: SeenEvent[] = [];
  readonly presence: SeenEvent[] = [];
  /** User ids whose devices changed, as told. */
  readonly changedDevices = new Set<string>();

  readonly #login: Json;
  readonly #filter: string;

  private constructor(address: string, login: Json, filter = FILTER) {
    this.address = address;
    this.#login = login;
    this.#filter = filter;
    this.userId = String(login['user_id']);
    this.deviceId = String(login['device_id']);
    this.#token = String(login['access_token']);
  }

  static async register(address: string, username: string): Promise<MatrixUser> {
    const body = { username, password: `password of ${username}`, auth: { type: 'm.login.dummy' } };
    return new MatrixUser(address, await request(address, 'POST', '/v3/register', { body }));
  }

  /** The same device, of a server that answers elsewhere now. It has seen nothing yet. */
  at(address: string): MatrixUser {
    return new MatrixUser(address, this.#login, this.#filter);
  }

  /** The same device, which is told members only as it needs them. It has seen nothing yet. */
  lazily(): MatrixUser {
    return new MatrixUser(this.address, this.#login, LAZY_FILTER);
  }

  call(method: string, path: string, body?: Json, timeoutMs = 60_000): Promise<Json> {
    return request(this.address, method, path, { body, token: this.#token, timeoutMs });
  }

  async createRoom(body: Json): Promise<string> {
    return String((await this.call('POST', '/v3/createRoom', body))['room_id']);
  }

  /** Joins by way of these servers. */
  async join(room: string, ...via: string[]): Promise<string> {
    const query = new URLSearchParams();
    for (const name of via) for (const key of ['server_name', 'via']) query.append(key, name);
    const path = `/v3/join/${encodeURIComponent(room)}?${query.toString()}`;
    return String((await this.call('POST', path, {}))['room_id']);
  }

  async send(roomId: string, type: string, content: Json): Promise<string> {
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/send/${type}/m${Date.now()}.${++this.#txn}`;
    return String((await this.call('PUT', path, content))['event_id']);
  }

  say(roomId: string, body: string): Promise<string> {
    return this.send(roomId, 'm.room.message', { msgtype: 'm.text', body });
  }

  async setState(roomId: string, type: string, stateKey: string, content: Json): Promise<string> {
    const place = [roomId, 'state', type, stateKey].map(encodeURIComponent).join('/');
    return String((await this.call('PUT', `/v3/rooms/${place}`, content))['event_id']);
  }

  /** `kick`, `ban`, `unban`, `invite` somebody; `leave` oneself. */
  async act(roomId: string, deed: string, userId?: string): Promise<void> {
    const body = userId === undefined ? {} : { user_id: userId };
    await this.call('POST', `/v3/rooms/${encodeURIComponent(roomId)}/${deed}`, body);
  }

  /** The room's state as this user's server tells it: event ids by type and state key. */
  async state(roomId: string): Promise<Record<string, string>> {
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/state`;
    const events: unknown = await this.call('GET', path);
    if (!isEvents(events)) throw new Error(`the state of ${roomId} is no list`);
    const entries = events.map(({ type, state_key, event_id }) => [`${type} ${state_key ?? ''}`, event_id]);
    return Object.fromEntries(entries.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))) as Record<
      string,
      string
    >;
  }

  /** Everything in a room that this user may see, oldest first. */
  async history(roomId: string): Promise<SeenEvent[]> {
    const seen: SeenEvent[] = [];
    let from = '';
    for (;;) {
      const path = `/v3/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=50${from}`;
      const { chunk, end } = (await this.call('GET', path)) as { chunk: SeenEvent[]; end?: string };
      seen.push(...chunk);
      if (end === undefined) return seen.reverse();
      from = `&from=${encodeURIComponent(end)}`;
    }
  }

  /** What /sync showed of a room so far. */
  room(roomId: string): SeenRoom {
    const seen = this.#rooms.get(roomId) ?? { timeline: [], ephemeral: [] };
    this.#rooms.set(roomId, seen);
    return seen;
  }

  /** The stripped state of an invite that is open. */
  invite(roomId: string): readonly SeenEvent[] | undefined {
    return this.#invites.get(roomId);
  }

  /** Syncs until something holds. @throws Error naming `what` when it does not in time */
  async until<T>(what: string, holds: () => T | undefined | false): Promise<T> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = holds();
      if (found !== undefined && found !== false) return found;
      if (Date.now() > end) throw new Error(`${this.userId} never saw ${what}`);
      await this.sync(1_000);
    }
  }

  /** Syncs until an event of the room's timeline is there. */
  sees(roomId: string, what: string, matches: (event: SeenEvent) => boolean): Promise<SeenEvent> {
    return this.until(what, () => this.room(roomId).timeline.find(matches));
  }

  seesText(roomId: string, body: string): Promise<SeenEvent> {
    return this.sees(roomId, `"${body}"`, ({ content }) => content['body'] === body);
  }

  /** One turn of /sync. */
  async sync(timeoutMs = 0): Promise<void> {
    const since = this.#since === undefined ? '' : `&since=${encodeURIComponent(this.#since)}`;
    const query = `timeout=${timeoutMs}&filter=${encodeURIComponent(this.#filter)}${since}`;
    const answer: SyncAnswer = await this.call('GET', `/v3/sync?${query}`);
    this.#since = answer.next_batch;
    for (const [roomId, told] of [
      ...Object.entries(answer.rooms?.join ?? {}),
      ...Object.entries(answer.rooms?.leave ?? {}),
    ]) {
      this.room(roomId).timeline.push(...(told.timeline?.events ?? []));
      this.room(roomId).ephemeral.push(...(told.ephemeral?.events ?? []));
      this.#invites.delete(roomId);
    }
    for (const [roomId, told] of Object.entries(answer.rooms?.invite ?? {})) {
      this.#invites.set(roomId, told.invite_state?.events ?? []);
    }
    this.toDevice.push(...(answer.to_device?.events ?? []));
    this.presence.push(...(answer.presence?.events ?? []));
    for (const userId of answer.device_lists?.changed ?? []) this.changedDevices.add(userId);
  }
}

function isEvents(answer: unknown): answer is readonly SeenEvent[] {
  return Array.isArray(answer);
}

interface SyncAnswer {
  readonly next_batch?: string;
  readonly rooms?: {
    readonly join?: Readonly<Record<string, ToldRoom>>;
    readonly leave?: Readonly<Record<string, ToldRoom>>;
    readonly invite?: Readonly<Record<string, { readonly invite_state?: { readonly events?: SeenEvent[] } }>>;
  };
  readonly to_device?: { readonly events?: SeenEvent[] };
  readonly presence?: { readonly events?: SeenEvent[] };
  readonly device_lists?: { readonly changed?: string[] };
}

interface ToldRoom {
  readonly timeline?: { readonly events?: SeenEvent[] };
  readonly ephemeral?: { readonly events?: Json[] };
}

/** Asks again until something holds. @throws Error naming `what` with what was seen last */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T>,
  holds: (value: T) => boolean,
): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await ask();
    if (holds(value)) return value;
    if (Date.now() > end) throw new Error(`${what} never came true; last: ${JSON.stringify(value)}`);
    await sleep(POLL_MS);
  }
}

interface RequestOptions {
  readonly body?: Json | undefined;
  readonly token?: string;
  readonly timeoutMs?: number;
}

async function request(
  address: string,
  method: string,
  path: string,
  { body, token, timeoutMs = 60_000 }: RequestOptions,
): Promise<Json> {
  const response = await fetch(`${address}/_matrix/client${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const answer = (await response.json()) as Json;
  if (!response.ok) throw new RequestFailure(`${method} ${path}`, response.status, answer);
  return answer;
}
