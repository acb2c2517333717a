// A server in a room, asked by others without a network between: requests go to their handlers by the route
// table, bodies and answers through JSON as they would on the wire. The others are keys, and events signed by them.

import { setImmediate as nextTurn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { Accounts } from '../../../src/account/accounts.js';
import { openEngine, type Engine } from '../../../src/engine/engine.js';
import { buildEvent } from '../../../src/event/build.js';
import { canonicalJson } from '../../../src/event/canonical.js';
import { referenceHash } from '../../../src/event/hash.js';
import { type EventId, type RoomId, serverOf, type ServerName, type UserId } from '../../../src/event/ids.js';
import { isObject, type JsonObject, parseJson } from '../../../src/event/json.js';
import { parsePdu } from '../../../src/event/parse.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { type RoomVersionRules, rulesOf } from '../../../src/event/rules.js';
import { signEvent } from '../../../src/event/signing.js';
import { FederationError } from '../../../src/federation/errors.js';
import { Federation } from '../../../src/federation/federation.js';
import { ServerKeys } from '../../../src/federation/identity/server-keys.js';
import { FEDERATION_OPTIONS, type FederationOptions } from '../../../src/federation/options.js';
import type { FederationParts } from '../../../src/federation/parts.js';
import { type FederationRoute, JsonText, Octets } from '../../../src/federation/route.js';
import { serveRoutes } from '../../../src/federation/serve/routes.js';
import type { IncomingAnswer, OutgoingRequest, Transport } from '../../../src/federation/transport.js';
import { toHex, utf8 } from '../../../src/lib/bytes.js';
import { StateroomError } from '../../../src/lib/errors.js';
import { authEventKeys } from '../../../src/room/auth/selection.js';
import { castKeys, keyOf, SERVERS } from '../../simulator/cast.js';

export const RESIDENT = 'alpha.test' as ServerName;
/** Has a member in the room. */
export const MEMBER = 'beta.test' as ServerName;
/** Has none. */
export const STRANGER = 'gamma.test' as ServerName;
export const ALICE = '@alice:alpha.test' as UserId;
export const BOB = '@bob:beta.test' as UserId;
export const CAROL = '@carol:gamma.test' as UserId;

const START = Date.UTC(2026, 0, 1);
/** Turns of the event loop in which what is to happen by itself happens. */
const TURNS_MAX = 10_000;

/** What of the server is not as usual. */
interface Circumstances {
  readonly options?: Partial<FederationOptions>;
}

/** What a request gave. */
export interface Served {
  readonly status: number;
  readonly body: Json;
}

/** JSON that a test reads into. */
export interface Json {
  readonly [key: string]: Json;
}

/** What an event says; its place is worked out. */
export interface Saying {
  readonly type: string;
  readonly sender: string;
  readonly stateKey?: string;
  readonly content: JsonObject;
  readonly redacts?: string;
}

export class Resident {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly federation: Federation;
  readonly rules: RoomVersionRules;
  /** The room that `room` made last. */
  roomId = '' as RoomId;
  /** What went out to other servers by itself, oldest first. */
  readonly sent: readonly OutgoingRequest[];
  readonly #clock: { now: number };
  #built = 0;

  private constructor(
    engine: Engine,
    accounts: Accounts,
    federation: Federation,
    rules: RoomVersionRules,
    clock: { now: number },
    sent: readonly OutgoingRequest[],
  ) {
    this.sent = sent;
    this.engine = engine;
    this.accounts = accounts;
    this.federation = federation;
    this.rules = rules;
    this.#clock = clock;
  }

  /** @param name the server's; Alice is one of the first's users */
  static async open(
    version = '12',
    name: ServerName = RESIDENT,
    { options, ...otherParts }: Circumstances = {},
  ): Promise<Resident> {
    const rules = rulesOf(version);
    assert.ok(rules);
    const clock = { now: START };
    const now = (): number => clock.now;
    const signingKey = keyOf(name);
    const sent: OutgoingRequest[] = [];
    const engine = await openEngine({ serverName: name, signingKey, keys: castKeys, now });
    const passwordCost = { memoryKiB: 8, passes: 1 };
    const accounts = await Accounts.open({ engine, serverName: name, now, passwordCost });
    const parts: FederationParts = {
      engine,
      accounts,
      serverName: name,
      transport: quietNetwork(now, sent),
      signingKey,
      now,
      random: () => 0.5,
      after: () => () => undefined,
      log: { info: silent, warn: silent, debug: silent },
      options: { ...FEDERATION_OPTIONS, ...options },
      ...otherParts,
    };
    const federation = await Federation.open(parts);
    await accounts.register({ username: 'alice' });
    return new Resident(engine, accounts, federation, rules, clock, sent);
  }

  async close(): Promise<void> {
    await this.federation.close();
    await this.accounts.close();
    await this.engine.close();
  }

  /** A room of Alice's that is open to all, with Bob of the member server in it. */
  async room(state: readonly (readonly [type: string, content: JsonObject])[] = []): Promise<RoomId> {
    const { roomId } = await this.engine.createRoom(ALICE, {
      roomVersion: this.rules.version,
      content: this.rules.authorisation.creatorIsInContent ? { creator: ALICE } : {},
    });
    this.roomId = roomId;
    await this.join(ALICE);
    await this.state('m.room.power_levels', {
      users: this.rules.authorisation.creatorsArePrivileged ? {} : { [ALICE]: 100 },
    });
    await this.state('m.room.join_rules', { join_rule: 'public' });
    for (const [type, content] of state) await this.state(type, content);
    await this.join(BOB);
    return roomId;
  }

  /** Lets a millisecond pass, so that no two events have one time. */
  tick(ms = 1): number {
    this.#clock.now += ms;
    return this.#clock.now;
  }

  join(user: string, roomId = this.roomId): Promise<Pdu> {
    return this.member(user, user, 'join', roomId);
  }

  member(sender: string, target: string, membership: string, roomId = this.roomId): Promise<Pdu> {
    return this.send({ type: 'm.room.member', sender, stateKey: target, content: { membership } }, roomId);
  }

  /** State that Alice sets. */
  state(type: string, content: JsonObject, stateKey = ''): Promise<Pdu> {
    return this.send({ type, sender: ALICE, stateKey, content });
  }

  say(sender: string, body: string): Promise<Pdu> {
    return this.send({ type: 'm.room.message', sender, content: { body } });
  }

  /** Sends an event of whoever, which must be taken. */
  async send(saying: Saying, roomId = this.roomId): Promise<Pdu> {
    const pdu = this.build(saying, roomId);
    const text = canonicalJson(pdu.json, pdu.rules);
    const verdict = await this.engine.receive(text, { from: serverOf(pdu.sender) });
    assert.is(verdict.verdict, 'accepted', `${saying.type} by ${saying.sender}: ${verdict.reason}`);
    return pdu;
  }

  /** Builds an event on the room as it is, signed by its sender's server. */
  build({ type, sender, stateKey, content, redacts }: Saying, roomId = this.roomId): Pdu {
    const { rules, engine } = this;
    const { reader } = engine;
    const row = reader.room(roomId);
    const view = engine.currentState(roomId);
    const prevs = row.forwardExtremities.flatMap((id) => reader.events.pdu(id) ?? []);
    const template = { type, sender, stateKey, content, rules };
    return buildEvent(
      {
        type,
        sender: sender as UserId,
        content,
        ...(stateKey === undefined ? {} : { stateKey }),
        ...(redacts === undefined ? {} : { redacts: redacts as EventId }),
        roomId,
        ...(rules.eventIdFormat === 'field' ? { eventId: this.#eventId(sender as UserId) } : {}),
        prevEvents: row.forwardExtremities,
        authEvents: authEventKeys(template).flatMap(([key, name]) => view.get(key, name) ?? []),
        depth: Math.max(...prevs.map(({ depth }) => depth)) + 1,
        originServerTs: this.tick(),
      },
      {
        rules,
        server: serverOf(sender as UserId),
        key: keyOf(serverOf(sender as UserId)),
        referenceHash: (id) => {
          const event = reader.events.pdu(id);
          return event === undefined ? undefined : referenceHash(event.json, rules);
        },
      },
    );
  }

  /** A template as its server completes it: signed, with an id of its own where ids are a field. */
  complete(template: Json, server: ServerName, changes: JsonObject = {}): Pdu {
    const json = parseJson(utf8(JSON.stringify(template)));
    assert.ok(isObject(json));
    const id =
      this.rules.eventIdFormat === 'field' ? { event_id: this.#eventId(`@x:${server}` as UserId) } : {};
    const event = { ...json, ...id, origin: server, origin_server_ts: this.tick(), ...changes };
    return parsePdu(signEvent(event, this.rules, server, keyOf(server)), this.rules);
  }

  /** A request of another server, answered or refused; what is thrown and is no refusal fails the test. */
  async ask(
    origin: ServerName | '',
    method: FederationRoute['method'],
    path: string,
    body: unknown = {},
  ): Promise<Served> {
    const url = new URL(`/_matrix/federation${path}`, 'http://localhost');
    for (const route of serveRoutes) {
      const params = route.method === method ? match(route.path, url.pathname) : undefined;
      if (params !== undefined) return this.handle(route, origin, params, queryOf(url), body);
    }
    return { status: 404, body: wire({ errcode: 'M_UNRECOGNIZED' }) };
  }

  async handle(
    route: FederationRoute,
    origin: ServerName | '',
    params: Readonly<Record<string, string>>,
    query: Readonly<Record<string, string | readonly string[]>>,
    body: unknown,
  ): Promise<Served> {
    const parsed = parsedBody(body);
    // Before any handler: what is no JSON object is none of theirs.
    if (parsed === undefined) return { status: 400, body: wire({ errcode: 'M_NOT_JSON', error: '' }) };
    const request = {
      origin: origin as ServerName,
      params,
      query,
      body: parsed,
      signal: new AbortController().signal,
    };
    try {
      const answer = await route.handler(request, this.federation);
      if (answer instanceof Octets) return { status: 200, body: wire({ octets: toHex(answer.bytes) }) };
      if (!(answer instanceof JsonText)) return { status: 200, body: wire(answer) };
      return { status: 200, body: JSON.parse(Buffer.from(await answer.bytes()).toString()) as Json };
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      return { status: error.status, body: wire(error.responseBody()) };
    }
  }

  /** A request that must be answered. */
  async answer(
    origin: ServerName,
    method: FederationRoute['method'],
    path: string,
    body?: unknown,
  ): Promise<Json> {
    const served = await this.ask(origin, method, path, body);
    assert.is(served.status, 200, `${method} ${path}: ${JSON.stringify(served.body)}`);
    return served.body;
  }

  /** A whole handshake of a join, of the version of the room. */
  async handshake(user: UserId = CAROL, query = ''): Promise<Json> {
    const server = serverOf(user);
    const made = await this.answer(
      server,
      'GET',
      `${v1`make_join/${this.roomId}/${user}`}?ver=${this.rules.version}`,
    );
    return this.sendJoin(this.complete(made['event'] ?? {}, server), query);
  }

  /** The second half of it. */
  sendJoin({ eventId, json, sender }: Pdu, query = ''): Promise<Json> {
    const path = `${v2`send_join/${this.roomId}/${eventId}`}${query}`;
    return this.answer(serverOf(sender), 'PUT', path, json);
  }

  /** Takes in what another gave for a join, as a server does that joins. */
  async takeJoin(answer: Json, isPartial: boolean): Promise<void> {
    const servers = itemsOf(answer['servers_in_room']).map(leaf);
    const json = (event: Json | undefined): JsonObject => this.pduOf(event).json;
    const outcome = await this.engine.receiveJoin({
      roomVersion: this.rules.version,
      event: json(answer['event']),
      state: itemsOf(answer['state']).map(json),
      authChain: itemsOf(answer['auth_chain']).map(json),
      from: RESIDENT,
      isPartial,
      servers,
    });
    assert.is(outcome.verdict.verdict, 'accepted', outcome.verdict.reason);
    assert.equal(outcome.dropped, []);
    this.roomId = outcome.roomId;
  }

  /** A request that must be refused so. */
  async refused(
    expected: readonly [status: number, errcode: string],
    origin: ServerName | '',
    method: FederationRoute['method'],
    path: string,
    body?: unknown,
  ): Promise<Json> {
    const served = await this.ask(origin, method, path, body);
    const told = [served.status, leaf(served.body['errcode'])];
    assert.equal(told, expected, `${method} ${path}: ${JSON.stringify(served.body).slice(0, 500)}`);
    return served.body;
  }

  /** The servers that an event was sent to by itself, sorted, once there are so many. */
  async told({ json }: Pdu, count: number): Promise<ServerName[]> {
    const hashes = JSON.stringify(json['hashes']);
    const told = (): ServerName[] => {
      const transactions = this.sent.filter(({ body }) =>
        JSON.stringify(body?.['pdus'] ?? []).includes(hashes),
      );
      return transactions.map(({ destination }) => destination).sort();
    };
    for (let turn = 0; turn < TURNS_MAX && told().length < count; turn++) await nextTurn();
    return told();
  }

  /** The ids of events in an answer, each checked to be one of the room's version. */
  idsOf(events: Json | undefined): EventId[] {
    return itemsOf(events).map((event) => this.pduOf(event).eventId);
  }

  pduOf(event: Json | undefined): Pdu {
    const json = parseJson(utf8(JSON.stringify(event)));
    assert.ok(isObject(json));
    return parsePdu(json, this.rules);
  }

  /** Every event in the auth chains of these, the slow way. */
  chainOf(ids: Iterable<EventId>): EventId[] {
    const chain = new Set<EventId>();
    const walk = (id: EventId): void => {
      const pdu = this.engine.reader.events.pdu(id);
      assert.ok(pdu);
      const implied =
        this.rules.authorisation.createIsImplied && pdu.type !== 'm.room.create'
          ? [`$${pdu.roomId.slice(1)}` as EventId]
          : [];
      for (const cited of [...pdu.authEvents, ...implied]) {
        if (chain.has(cited)) continue;
        chain.add(cited);
        walk(cited);
      }
    };
    for (const id of ids) walk(id);
    return [...chain].sort();
  }

  #eventId(user: UserId): EventId {
    return `$t${++this.#built}:${serverOf(user)}` as EventId;
  }
}

/** `` v1`make_join/${roomId}/${userId}` ``, percent-encoded. */
export function v1(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return `/v1/${encoded(parts, values)}`;
}

export function v2(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return `/v2/${encoded(parts, values)}`;
}

/** A path of our own endpoints. */
export function ours(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return `/unstable/org.stateroom/${encoded(parts, values)}`;
}

export function itemsOf(json: Json | undefined): readonly Json[] {
  return Array.isArray(json) ? (json as readonly Json[]) : [];
}

export function leaf(json: Json | undefined): string {
  return typeof json === 'string' ? json : JSON.stringify(json);
}

function encoded(parts: TemplateStringsArray, values: readonly string[]): string {
  return values.reduce(
    (path, value, i) => `${path}${encodeURIComponent(value)}${parts[i + 1] ?? ''}`,
    parts[0] ?? '',
  );
}

function match(path: string, asked: string): Record<string, string> | undefined {
  const [parts, given] = [path.split('/'), asked.split('/')];
  if (parts.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    if (part.startsWith(':')) params[part.slice(1)] = decodeURIComponent(given[i] ?? '');
    else if (part !== given[i]) return undefined;
  }
  return params;
}

function parsedBody(body: unknown): JsonObject | undefined {
  try {
    const parsed = parseJson(utf8(JSON.stringify(body)));
    return isObject(parsed) ? parsed : undefined;
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

function queryOf(url: URL): Record<string, string | readonly string[]> {
  const names = [...new Set(url.searchParams.keys())];
  return Object.fromEntries(
    names.map((name) => {
      const all = url.searchParams.getAll(name);
      return [name, all.length === 1 ? (all[0] ?? '') : all];
    }),
  );
}

function wire(body: unknown): Json {
  return JSON.parse(JSON.stringify(body)) as Json;
}

function silent(): void {
  // Nobody reads the log of a test.
}

/** A network on which the servers of tests tell their keys and take what they are sent. */
function quietNetwork(now: () => number, sent: OutgoingRequest[]): Transport {
  return {
    async send(request: OutgoingRequest): Promise<IncomingAnswer> {
      const { destination, uri } = request;
      if (uri.startsWith('/_matrix/federation/v1/send/')) {
        sent.push(request);
        return { status: 200, bytes: utf8('{"pdus":{}}') };
      }
      const isKnown = SERVERS.includes(destination) && uri.startsWith('/_matrix/key/v2/server');
      if (!isKnown) return { status: 404, bytes: utf8('{"errcode":"M_UNRECOGNIZED"}') };
      const options = { keyValidityMs: 24 * 3_600_000 };
      const keys = new ServerKeys({
        serverName: destination,
        signingKey: keyOf(destination),
        now,
        options,
      });
      return { status: 200, bytes: utf8(JSON.stringify(keys.answer())) };
    },
    async close(): Promise<void> {
      // There is nothing to close.
    },
  };
}
