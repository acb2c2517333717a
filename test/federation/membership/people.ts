// People at homeservers of one network, and what they ask of them.

import { type Json, type TestUser, textOf } from '../../client/harness.js';
import { type Network, network, type Site } from '../network.js';

/** A path of the client API, percent-encoded. */
export const v3 = (parts: TemplateStringsArray, ...values: readonly string[]): string =>
  parts.reduce((made, part, i) => `${made}${encodeURIComponent(values[i - 1] ?? '')}${part}`);

/** A user at their server. */
export class Person {
  constructor(
    readonly net: Network,
    readonly site: Site,
    readonly user: TestUser,
  ) {}

  static async at(net: Network, which: number, name: string): Promise<Person> {
    const site = net.site(which);
    return new Person(net, site, await site.harness.user(name));
  }

  get userId() {
    return this.user.userId;
  }

  /** A request that must be answered well. */
  async ask(method: 'GET' | 'PUT' | 'POST', path: string, body: object = {}): Promise<Json> {
    const answer = await this.answer(method, path, body);
    if (answer.status !== 200)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async answer(method: 'GET' | 'PUT' | 'POST', path: string, body: object = {}) {
    const [plain = '', queryText = ''] = path.split('?');
    const query = Object.fromEntries(new URLSearchParams(queryText));
    return this.site.harness.call(this.user, method, plain, body, { query });
  }

  async createRoom(body: object): Promise<string> {
    return textOf((await this.ask('POST', '/v3/createRoom', body))['room_id']);
  }

  async sync(since?: string): Promise<Json> {
    return this.ask('GET', since === undefined ? '/v3/sync' : `/v3/sync?since=${encodeURIComponent(since)}`);
  }

  membershipOf(roomId: string, { userId }: Person): string | undefined {
    return this.site.harness.home.engine.currentState(roomId).membership(userId);
  }
}

export async function play(servers: number, scene: (net: Network) => Promise<void>): Promise<void> {
  const net = await network({ servers });
  try {
    await scene(net);
  } finally {
    await net.close();
  }
}

export const PUBLIC = { preset: 'public_chat', name: 'Theirs' };
