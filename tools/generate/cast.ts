// The people of a generated room and the servers they live on. Who is in the room is the script's business.
//
// Every server gets one person at least; the rest crowd on few servers, as they do in the field.

import { parseServerName, parseUserId, type ServerName, type UserId } from '../../src/event/ids.js';
import { assert } from '../../src/lib/errors.js';
import { Random } from './random.js';
import { displayName, localpart, serverName } from './words.js';

/** One user. */
export interface Person {
  readonly userId: UserId;
  readonly server: ServerName;
}

/** People in the order in which they first come to the room; the first one, on the first server, creates it. */
export class Cast {
  readonly servers: readonly ServerName[];
  readonly creator: Person;
  readonly #random: Random;
  /** Server of each person still to come, as an index; the next is the last. */
  readonly #homes: Uint32Array;
  #arrived = 0;

  /**
   * @param people how many may ever come
   * @param servers at most as many as people
   */
  constructor(seed: string, people: number, servers: number) {
    this.#random = new Random(seed, 'people');
    this.servers = Array.from({ length: servers }, (_, number) => {
      const server = parseServerName(serverName(this.#random, number));
      assert(server !== undefined, 'a made-up server name is one');
      return server;
    });
    this.#homes = homesOf(this.#random, people, servers);
    this.creator = this.newcomer();
  }

  /** The next person who has never been in the room. */
  newcomer(): Person {
    const number = this.#arrived++;
    const server = this.servers[this.#homes[number] ?? -1];
    assert(server !== undefined, 'a cast is not asked for more people than it has');
    const userId = parseUserId(`@${localpart(this.#random, number)}:${server}`);
    assert(userId !== undefined, 'a made-up user id is one');
    return { userId, server };
  }

  /** Content of a member event: how a client joins or renews its profile. */
  profile(person: Person): { membership: 'join'; displayname: string; avatar_url?: string } {
    const displayname = displayName(this.#random);
    if (this.#random.oneIn(4)) return { membership: 'join', displayname };
    return {
      membership: 'join',
      displayname,
      avatar_url: `mxc://${person.server}/${this.#random.token(24)}`,
    };
  }
}

/** Shuffled homes: one for each server, the rest by the cube of a fair draw; the creator's stays in front. */
function homesOf(random: Random, people: number, servers: number): Uint32Array {
  const homes = new Uint32Array(people);
  for (let i = 0; i < people; i++) {
    // Multiplied out: the bits of a power differ between JavaScript engines.
    const fraction = random.below(2 ** 24) / 2 ** 24;
    homes[i] = i < servers ? i : Math.floor(servers * fraction * fraction * fraction);
  }
  for (let i = people - 1; i > 1; i--) {
    const j = random.between(1, i);
    const held = homes[i] as number;
    homes[i] = homes[j] as number;
    homes[j] = held;
  }
  return homes;
}
