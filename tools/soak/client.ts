// One client: a device of a user that syncs all the time and keeps its own view.

import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../generate/random.js';
import { type Answer, type Asking, type Http, type Json, list, object, text } from './http.js';
import type { Ledger } from './ledger.js';
import { type SyncKind, View } from './view.js';

const POLL_MS = 5_000;
/** Between an answer and the next request, at most: a client has work of its own. */
const PAUSE_MS_MAX = 400;
const LAZY_FILTER = JSON.stringify({ room: { state: { lazy_load_members: true } } });
/** Answers in which a client that nobody talks to must have come to know all. */
const SETTLING_ANSWERS_MAX = 30;

export class Client {
  readonly name: string;
  readonly userId: string;
  readonly random: Random;
  deviceId = '';
  token = '';
  view: View;
  /** Message ids, each as often as it was received by the device since the view is whole. */
  received = new Map<string, number>();
  /** Ids of messages in the order in which they came first. */
  inOrder: string[] = [];
  /** How often the device began anew: what it had not acknowledged then comes once more. */
  beginnings = 0;
  readonly #http: Http;
  readonly #ledger: Ledger;
  readonly #password: string;
  #since: string | undefined;
  #running = Promise.resolve();
  #ending = new AbortController();
  #transaction = 0;

  constructor(http: Http, ledger: Ledger, name: string, seed: string) {
    this.#http = http;
    this.#ledger = ledger;
    this.name = name;
    this.userId = `@${name}:soak.test`;
    this.random = new Random(seed, `client ${name}`);
    this.#password = `password of ${name}`;
    this.view = new View(this.#kind());
  }

  get since(): string {
    return this.#since ?? '';
  }

  async register(): Promise<void> {
    const body = { username: this.name, password: this.#password, auth: { type: 'm.login.dummy' } };
    this.#takeSession('register', await this.#http.client('POST', '/register', { body }));
  }

  request(method: string, path: string, asking: Omit<Asking, 'token'> = {}): Promise<Answer> {
    return this.#http.client(method, path, { ...asking, token: this.token });
  }

  /** A transaction id that was not used before. */
  transactionId(): string {
    return `${this.name}-${++this.#transaction}`;
  }

  start(): void {
    this.#ending = new AbortController();
    this.#running = this.#sync(this.#ending.signal);
  }

  /** Ends the long poll, whose answer is lost. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  /** The client goes on from its token; what it was being told is lost. */
  async resume(): Promise<void> {
    await this.stop();
    this.start();
  }

  /** The client forgets everything, its token too. */
  async beginAnew(): Promise<void> {
    await this.stop();
    this.#forget();
    this.beginnings++;
    this.start();
  }

  /** The user logs out and in: another device. */
  async logInAgain(): Promise<void> {
    await this.stop();
    this.#ledger.note('logout', await this.request('POST', '/logout', { body: {} }));
    const dead = await this.request('GET', '/account/whoami');
    this.#ledger.note('whoami logged out', dead, ['401 M_UNKNOWN_TOKEN']);
    const body = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: this.name },
      password: this.#password,
    };
    this.#takeSession('login', await this.#http.client('POST', '/login', { body }));
    this.received = new Map();
    this.inOrder = [];
    this.beginnings = 0;
    this.#forget();
    this.start();
  }

  #takeSession(action: string, answer: Answer): void {
    if (!this.#ledger.note(action, answer)) return;
    this.token = text(answer.body['access_token']);
    this.deviceId = text(answer.body['device_id']);
  }

  #forget(): void {
    this.#since = undefined;
    this.view = new View(this.#kind());
  }

  #kind(): SyncKind {
    return this.random.pick(['eager', 'lazy', 'state_after'] as const);
  }

  /** Syncs without waiting until there is nothing more to be told. */
  async settle(): Promise<void> {
    await this.stop();
    for (let answers = 0; answers < SETTLING_ANSWERS_MAX; answers++) {
      const answer = await this.#syncOnce(0);
      if (answer === undefined || !answer.hasNews) return;
    }
    this.#ledger.unexpected(
      'sync never ends',
      `${this.name} is told news of a server on which nothing happens`,
    );
  }

  async #sync(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#syncOnce(POLL_MS, signal);
        await sleep(this.random.below(PAUSE_MS_MAX), undefined, { signal });
      } catch (error) {
        if (!signal.aborted)
          this.#ledger.unexpected('sync: no answer', `sync of ${this.name}: ${String(error)}`);
      }
    }
  }

  async #syncOnce(
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<{ readonly hasNews: boolean } | undefined> {
    const { kind } = this.view;
    const answer = await this.request('GET', '/sync', {
      query: {
        timeout: String(timeoutMs),
        ...(this.#since === undefined ? {} : { since: this.#since }),
        ...(kind === 'lazy' ? { filter: LAZY_FILTER } : {}),
        ...(kind === 'state_after' ? { use_state_after: 'true' } : {}),
      },
      ...(signal === undefined ? {} : { signal }),
    });
    if (signal?.aborted === true) return undefined;
    if (!this.#ledger.note(this.#since === undefined ? 'sync, initial' : 'sync', answer)) {
      // A server that refuses is not asked again at once.
      await sleep(PAUSE_MS_MAX);
      return undefined;
    }
    const messages = list(object(answer.body['to_device'])['events']).map(object);
    for (const message of messages) this.#receive(message);
    const hasNews = this.view.apply(answer.body) || messages.length > 0;
    this.#since = text(answer.body['next_batch']);
    return { hasNews };
  }

  #receive(message: Json): void {
    const id = text(object(message['content'])['id']);
    const times = this.received.get(id) ?? 0;
    this.received.set(id, times + 1);
    if (times === 0) this.inOrder.push(id);
  }
}
