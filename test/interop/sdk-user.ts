// A user with matrix-js-sdk: registered and logged in as a person would be, every request of theirs noted.

import './sdk-surroundings.js';
import {
  ClientEvent,
  createClient,
  type IStartClientOpts,
  type LoginResponse,
  MatrixError,
  type MatrixClient,
  MatrixEventEvent,
  RoomEvent,
  RoomMemberEvent,
  RoomStateEvent,
} from 'matrix-js-sdk';
import { CryptoEvent } from 'matrix-js-sdk/lib/crypto-api/CryptoEvent.js';
import type { Logger } from 'matrix-js-sdk/lib/logger.js';

/** The client has this long to see what it should; far more than it ever needs. */
export const PATIENCE_MS = 20_000;

const quiet: Logger = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  getChild: () => quiet,
};

/** Everything after which a client may know more than before. */
const NEWS = [
  ClientEvent.Sync,
  ClientEvent.Event,
  ClientEvent.AccountData,
  ClientEvent.ToDeviceEvent,
  RoomEvent.Timeline,
  RoomEvent.MyMembership,
  RoomEvent.Receipt,
  RoomEvent.Redaction,
  RoomStateEvent.Members,
  RoomMemberEvent.Typing,
  MatrixEventEvent.Decrypted,
  MatrixEventEvent.Replaced,
  CryptoEvent.DevicesUpdated,
  CryptoEvent.KeysChanged,
  CryptoEvent.UserTrustStatusChanged,
  CryptoEvent.VerificationRequestReceived,
] as const;

/** One device of a user. */
export class SdkUser {
  readonly #baseUrl: string;
  readonly client: MatrixClient;
  readonly userId: string;
  readonly deviceId: string;
  readonly password: string;
  /** `GET /_matrix/client/v3/sync 200` of each request that was answered. */
  readonly requests: readonly string[];

  private constructor(baseUrl: string, login: LoginResponse, password: string) {
    this.#baseUrl = baseUrl;
    this.userId = login.user_id;
    this.deviceId = login.device_id;
    this.password = password;
    const requests: string[] = [];
    this.requests = requests;
    this.client = createClient({
      baseUrl,
      userId: login.user_id,
      deviceId: login.device_id,
      accessToken: login.access_token,
      timelineSupport: true,
      logger: quiet,
      fetchFn: async (input, init) => {
        const response = await fetch(input, init);
        const url = new URL(input instanceof Request ? input.url : input);
        requests.push(`${init?.method ?? 'GET'} ${url.pathname} ${response.status}`);
        return response;
      },
    });
  }

  /** Registers with the stages the server asks for, then logs in with the password on a first device. */
  static async register(baseUrl: string, username: string): Promise<SdkUser> {
    const password = `${username}'s password`;
    const anonymous = createClient({ baseUrl, logger: quiet });
    const wanted = await anonymous.registerRequest({ username, password }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(wanted instanceof MatrixError) || wanted.httpStatus !== 401) {
      throw new Error('the server asks for no stage of authentication', { cause: wanted });
    }
    const session: unknown = wanted.data['session'];
    if (typeof session !== 'string') throw new Error('the stages of authentication have no session');
    await anonymous.registerRequest({
      username,
      password,
      inhibit_login: true,
      auth: { type: 'm.login.dummy', session },
    });
    return SdkUser.login(baseUrl, username, password);
  }

  static async login(baseUrl: string, username: string, password: string): Promise<SdkUser> {
    const login = await createClient({ baseUrl, logger: quiet }).loginRequest({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: username },
      password,
    });
    return new SdkUser(baseUrl, login, password);
  }

  /** The same user on another, new device. */
  onAnotherDevice(): Promise<SdkUser> {
    return SdkUser.login(this.#baseUrl, this.userId, this.password);
  }

  /** Syncs from now on; resolves when the first answer is taken in. */
  async start(options: IStartClientOpts = {}): Promise<this> {
    await this.client.startClient({ lazyLoadMembers: true, initialSyncLimit: 20, ...options });
    await this.sees('the first sync', () => this.client.isInitialSyncComplete() || undefined);
    return this;
  }

  /** Waits until the check gives something; looks again whenever the client has news. */
  sees<T>(what: string, check: () => T | Promise<T>): Promise<NonNullable<T>> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        for (const event of NEWS) this.client.off(event, look);
      };
      const fail = (error: unknown): void => {
        done();
        reject(error instanceof Error ? error : new Error(String(error)));
      };
      const look = (): void => {
        looked().catch(fail);
      };
      const looked = async (): Promise<void> => {
        const seen = await check();
        if (seen === undefined || seen === null) return;
        done();
        resolve(seen);
      };
      const timer = setTimeout(() => {
        done();
        reject(
          new Error(`${this.userId} never saw ${what}; requests:\n${this.requests.slice(-40).join('\n')}`),
        );
      }, PATIENCE_MS);
      for (const event of NEWS) this.client.on(event, look);
      look();
    });
  }

  /** The room, once this client knows of it with this membership. */
  seesRoom(roomId: string, membership: string) {
    return this.sees(`${roomId} as ${membership}`, () => {
      const room = this.client.getRoom(roomId);
      return room?.getMyMembership() === membership ? room : undefined;
    });
  }

  /** The event in the room's timeline, once it is there as the server has it. */
  seesEvent(roomId: string, eventId: string) {
    return this.sees(eventId, () => this.client.getRoom(roomId)?.findEventById(eventId));
  }

  stop(): void {
    this.client.stopClient();
  }
}
