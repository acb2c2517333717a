// Rooms with more members than a join needs: users of one of the servers, made once and put into many rooms.

import type { Json, MatrixUser } from '../matrix-user.js';
import type { Pair, Side } from './pair.js';

/** Users that are made, or enter a room, at the same time. */
const AT_ONCE = 8;

export interface CrowdedRoom {
  readonly roomId: string;
  readonly host: MatrixUser;
  /** Who is joined beside the host, in the order in which they were asked. */
  readonly members: readonly MatrixUser[];
  /** Who is banned from it, or invited to it, without there being such a user anywhere else. */
  readonly banned: readonly string[];
}

/** The users of one server that fill rooms. */
export class Crowd {
  readonly #pair: Pair;
  readonly #side: Side;
  readonly #users: MatrixUser[] = [];

  constructor(pair: Pair, side: Side) {
    this.#pair = pair;
    this.#side = side;
  }

  /** A public room of a new user, with members, some bans, and somebody who left. */
  async room({ members: count, ...body }: { readonly members: number } & Json): Promise<CrowdedRoom> {
    const host = await this.#pair.user(this.#side, 'host');
    const roomId = await host.createRoom({ preset: 'public_chat', name: 'Crowded', ...body });
    const [gone, ...members] = await this.#first(count + 1);
    if (gone === undefined) throw new Error('there is nobody');
    await inParallel([gone, ...members], (user) => user.join(roomId));
    await gone.act(roomId, 'leave');
    const banned = [0, 1, 2].map((i) => `@unwanted${i}:${this.#pair.nameOf(this.#side)}`);
    for (const userId of banned) await host.act(roomId, 'ban', userId);
    return { roomId, host, members, banned };
  }

  async #first(count: number): Promise<readonly MatrixUser[]> {
    const missing = Math.max(0, count - this.#users.length);
    await inParallel(Array<string>(missing).fill('member'), async (name) => {
      this.#users.push(await this.#pair.user(this.#side, name));
    });
    // Their server may have been started again.
    return this.#users.slice(0, count).map((user) => user.at(this.#pair.address(this.#side)));
  }
}

/** Does something for each, a few at the same time. */
async function inParallel<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  const queue = [...all];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) await work(one);
    }),
  );
}
