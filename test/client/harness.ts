// A homeserver in memory, asked without HTTP: requests find their handler by the route table, bodies go through
// JSON as they would on the wire, time stands still until a test moves it.

import { Accounts } from '../../src/account/accounts.js';
import { authenticate } from '../../src/client/authenticate.js';
import { Ephemeral } from '../../src/client/ephemeral.js';
import { MatrixError } from '../../src/client/errors.js';
import type { Homeserver, HomeserverOptions } from '../../src/client/homeserver.js';
import { type ClientRequest, Reply, type Route } from '../../src/client/route.js';
import { clientRoutes } from '../../src/client/routes.js';
import { Notifier } from '../../src/client/sync/notifier.js';
import { UiaSessions } from '../../src/client/uia-sessions.js';
import { openEngine } from '../../src/engine/engine.js';
import type { ServerName, UserId } from '../../src/event/ids.js';
import { createSigningKey, type SigningKey } from '../../src/event/signing.js';
import type { PublicKeys } from '../../src/event/verify.js';
import type { Federation } from '../../src/federation/federation.js';
import { utf8 } from '../../src/lib/bytes.js';
import { parseBody } from '../../src/server/http/body.js';

export const SERVER = 'example.org' as ServerName;
const START = Date.UTC(2026, 0, 1);
const JSON_DEPTH_MAX = 100;

/** A user of the tests, logged in on one device. */
export interface TestUser {
  readonly userId: UserId;
  readonly deviceId: string;
  readonly accessToken: string;
  readonly password: string;
}

/** What a request gave: status and the JSON that would go over the wire. */
export interface Answer {
  readonly status: number;
  readonly body: Json;
}

/** JSON that a test reads into: `body.rooms?.join`, with `textOf` and `itemsOf` for its leaves and lists. */
export interface Json {
  readonly [key: string]: Json;
}

/** A leaf as text. */
export function textOf(json: unknown): string {
  return typeof json === 'string' ? json : JSON.stringify(json);
}

/** A list's items. */
export function itemsOf(json: Json | undefined): readonly Json[] {
  return Array.isArray(json) ? (json as readonly Json[]) : [];
}

export interface HarnessOptions extends Partial<HomeserverOptions> {
  /** A data folder; without one everything is in memory. */
  readonly path?: string;
  /** Time that is shared with others; without one it stands still until `advance`. */
  readonly clock?: { now: number };
  readonly signingKey?: SigningKey;
  /** Public keys of other servers. */
  readonly keys?: PublicKeys;
  /** Opens federation, where there are other servers. */
  readonly federate?: (
    parts: Pick<Homeserver, 'engine' | 'accounts' | 'ephemeral' | 'notifier'>,
  ) => Promise<Federation>;
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly signal?: AbortSignal;
}

export class Harness {
  readonly home: Homeserver;
  readonly #clock: { now: number };

  private constructor(home: Homeserver, clock: { now: number }) {
    this.home = home;
    this.#clock = clock;
  }

  static async open(options: HarnessOptions = {}): Promise<Harness> {
    const { path, clock = { now: START }, signingKey, keys, federate, ...given } = options;
    const now = (): number => clock.now;
    const serverName = given.serverName ?? SERVER;
    const engine = await openEngine({
      serverName,
      signingKey: signingKey ?? createSigningKey('ed25519:1', new Uint8Array(32).fill(7)),
      now,
      ...(keys === undefined ? {} : { keys }),
      ...(path === undefined ? {} : { path, durability: 'os' }),
    });
    const accounts = await Accounts.open({
      engine,
      serverName,
      now,
      passwordCost: { memoryKiB: 8, passes: 1 },
    });
    const ephemeral = new Ephemeral({ now });
    const notifier = new Notifier({ engine, accounts, ephemeral });
    const federation = await federate?.({ engine, accounts, ephemeral, notifier });
    const home: Homeserver = {
      options: {
        serverName,
        publicBaseUrl: `https://${serverName}`,
        isRegistrationOpen: true,
        registrationTokens: [],
        defaultRoomVersion: '12',
        syncTimeoutMsMax: 30_000,
        partialStateWaitMs: 30_000,
        accessTokenLifetimeMs: 3_600_000,
        ...given,
      },
      engine,
      accounts,
      ephemeral,
      notifier,
      ...(federation === undefined ? {} : { federation }),
      uiaSessions: new UiaSessions({ now }),
      now,
    };
    return new Harness(home, clock);
  }

  async close(): Promise<void> {
    await this.home.federation?.close();
    await this.home.notifier.close();
    await this.home.accounts.close();
    await this.home.engine.close();
  }

  /** Lets time pass. */
  advance(ms: number): void {
    this.#clock.now += ms;
  }

  /** A user, registered and logged in without going through the endpoints. */
  async user(username: string, password = `${username}'s password`): Promise<TestUser> {
    const userId = await this.home.accounts.register({ username, password });
    return { ...(await this.device(userId)), password };
  }

  /** One more device of a user. */
  async device(userId: UserId, deviceId?: string): Promise<Omit<TestUser, 'password'>> {
    const session = await this.home.accounts.startSession(userId, { deviceId });
    return { userId, deviceId: session.deviceId, accessToken: session.accessToken };
  }

  /**
   * A request, answered or refused.
   * @param who a user, an access token, or undefined for nobody
   * @param path percent-encoded, perhaps with a query; `/v3/...` stands for `/_matrix/client/v3/...`
   */
  async call(
    who: Pick<TestUser, 'accessToken'> | string | undefined,
    method: Route['method'],
    path: string,
    body: unknown = {},
    { query = {}, signal = new AbortController().signal }: CallOptions = {},
  ): Promise<Answer> {
    const url = new URL(
      /^\/(v\d|r0|versions)/.test(path) ? `/_matrix/client${path}` : path,
      'http://localhost',
    );
    const found = routeOf(method, url.pathname);
    if (found === undefined) return { status: 404, body: wire({ errcode: 'M_UNRECOGNIZED' }) };
    return this.ask(who, found.route, found.params, body, { query: { ...queryOf(url), ...query }, signal });
  }

  /** A request to a route that is known, its parameters as they are. */
  async ask(
    who: Pick<TestUser, 'accessToken'> | string | undefined,
    route: Route,
    params: Readonly<Record<string, string>>,
    body: unknown,
    { query = {}, signal = new AbortController().signal }: CallOptions = {},
  ): Promise<Answer> {
    const token = typeof who === 'string' ? who : who?.accessToken;
    try {
      const requester = authenticate(this.home, token, route.auth, '127.0.0.1');
      const request: ClientRequest = {
        params,
        query,
        body: parseBody(utf8(JSON.stringify(body)), JSON_DEPTH_MAX),
        requester,
        ip: '127.0.0.1',
        userAgent: 'test',
        signal,
      };
      // Handlers of routes without `auth: 'user'` never look at `user`.
      const nobody = { userId: '' as UserId, deviceId: '', tokenHash: '', isAdmin: false };
      const answer = await route.handler({ ...request, user: requester ?? nobody }, this.home);
      return answer instanceof Reply
        ? { status: answer.status, body: wire(answer.body) }
        : { status: 200, body: wire(answer) };
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      return { status: error.status, body: wire(error.responseBody()) };
    }
  }
}

function queryOf(url: URL): Record<string, string | readonly string[]> {
  return Object.fromEntries(
    [...new Set(url.searchParams.keys())].map((name) => {
      const all = url.searchParams.getAll(name);
      return [name, all.length === 1 ? (all[0] ?? '') : all];
    }),
  );
}

function wire(body: unknown): Json {
  return JSON.parse(JSON.stringify(body)) as Json;
}

function routeOf(method: string, pathname: string) {
  const asked = pathname.replace('/_matrix/client/r0/', '/_matrix/client/v3/').split('/');
  const candidates = clientRoutes
    .filter((route) => route.method === method)
    .flatMap((route) => {
      const params = match(route.path.split('/'), asked);
      return params === undefined ? [] : [{ route, params, wildcards: Object.keys(params).length }];
    })
    .sort((a, b) => a.wildcards - b.wildcards);
  return candidates[0];
}

function match(parts: readonly string[], asked: readonly string[]): Record<string, string> | undefined {
  if (parts.length !== asked.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const given = asked[i] ?? '';
    if (part.startsWith(':')) params[part.slice(1)] = decodeURIComponent(given);
    else if (part !== given) return undefined;
  }
  return params;
}
