// A room of the shape of Matrix HQ's state: 30,856 state events, nearly all of them members.
//
// How the counts are read: they are state events of each type in the room's history. Every member has one event,
// a join, under a key of its own (30,661 entries). Aliases are one event per server, under the server's name, and
// every server ACL has a key of its own, of which only the empty one means anything. Join rules, guest access,
// power levels and history visibility repeat under the one empty key, so only the last of each stands. Eight
// types with one event each make up the sum: create, name, topic, avatar, canonical alias, pinned events, related
// groups and URL previews. The state at the end has 30,837 entries.
//
// Messages lie in between. Forks take their joins and messages from the same counts, so they add none.

import type { Cast, Person } from './cast.js';
import { HQ_STATE_EVENTS, type RoomPlan } from './options.js';
import type { Random } from './random.js';
import {
  type EventStep,
  joinStep,
  messageStep,
  openingSteps,
  type PowerLevels,
  powerStep,
  type ScriptStep,
  stateStep,
} from './script.js';
import { sentence } from './words.js';

/** The script of a room like Matrix HQ. */
export function hqScript(plan: RoomPlan, cast: Cast, random: Random): Generator<ScriptStep> {
  return new HqRoom(plan, cast, random).steps();
}

// From version 6 aliases have no auth rule of their own: the level lets anyone set them, as the old rule did.
const openingLevels: PowerLevels = {
  users: {},
  events: { 'm.room.aliases': 0, 'm.room.power_levels': 100, 'm.room.server_acl': 50 },
  notifications: { room: 50 },
};

/** Events still to come outside forks, by kind; the opening's are taken off. */
const laterEvents = {
  aliases: HQ_STATE_EVENTS['m.room.aliases'],
  serverAcl: HQ_STATE_EVENTS['m.room.server_acl'],
  /** Closed to newcomers and open again: two events. */
  joinRules: (HQ_STATE_EVENTS['m.room.join_rules'] - 1) / 2,
  guestAccess: HQ_STATE_EVENTS['m.room.guest_access'] - 1,
  powerLevels: HQ_STATE_EVENTS['m.room.power_levels'] - 1,
  historyVisibility: HQ_STATE_EVENTS['m.room.history_visibility'] - 1,
  single: 5,
};

type Kind = keyof typeof laterEvents | 'join' | 'message';

class HqRoom {
  readonly #plan: RoomPlan;
  readonly #cast: Cast;
  readonly #random: Random;
  readonly #left: Map<Kind, number>;
  readonly #joined: Person[] = [];
  /** First people of servers that have no aliases yet. */
  readonly #aliasers: Person[];
  readonly #homesSeen = new Set<string>();
  #levels = openingLevels;

  constructor(plan: RoomPlan, cast: Cast, random: Random) {
    this.#plan = plan;
    this.#cast = cast;
    this.#random = random;
    this.#left = new Map<Kind, number>([
      ['join', plan.members - 1],
      ['message', plan.messages],
      ['aliases', laterEvents.aliases],
      ['serverAcl', laterEvents.serverAcl],
      ['joinRules', laterEvents.joinRules],
      ['guestAccess', laterEvents.guestAccess],
      ['powerLevels', laterEvents.powerLevels],
      ['historyVisibility', laterEvents.historyVisibility],
      ['single', laterEvents.single],
    ]);
    this.#aliasers = [cast.creator];
    this.#homesSeen.add(cast.creator.server);
  }

  *steps(): Generator<ScriptStep> {
    yield* openingSteps(this.#cast, this.#random, this.#plan.rules, this.#levels);
    const planned = this.#sum();
    let forked = 0;
    for (let left = planned; left > 0; left = this.#sum()) {
      const due = Math.floor(((planned - left) * (this.#plan.forks + 1)) / (planned + 1));
      if (forked < due) {
        forked += 1;
        yield* this.#fork();
      } else {
        yield* this.#act(this.#draw(left));
      }
    }
  }

  #sum(): number {
    let sum = 0;
    for (const count of this.#left.values()) sum += count;
    return sum;
  }

  #draw(left: number): Kind {
    let drawn = this.#random.below(left);
    for (const [kind, count] of this.#left) {
      if (drawn < count) return kind;
      drawn -= count;
    }
    return 'join';
  }

  #spend(kind: Kind): number {
    const left = (this.#left.get(kind) ?? 0) - 1;
    this.#left.set(kind, left);
    return left;
  }

  *#act(kind: Kind): Generator<ScriptStep> {
    // Aliases wait until somebody of another server has joined; as many servers are sure to come.
    if (kind === 'aliases' && this.#aliasers.length === 0) return;
    const left = this.#spend(kind);
    const random = this.#random;
    const { creator } = this.#cast;
    switch (kind) {
      case 'join':
        return yield this.#join(0);
      case 'message':
        return yield messageStep(0, random, this.#author());
      case 'aliases':
        return yield this.#aliases(random.take(this.#aliasers));
      case 'serverAcl':
        return yield this.#serverAcl(left);
      case 'joinRules':
        yield stateStep(0, creator, 'm.room.join_rules', '', { join_rule: 'invite' });
        return yield stateStep(0, creator, 'm.room.join_rules', '', { join_rule: 'public' });
      case 'guestAccess':
        return yield stateStep(0, creator, 'm.room.guest_access', '', {
          guest_access: left % 2 === 0 ? 'can_join' : 'forbidden',
        });
      case 'powerLevels':
        return yield this.#powerLevels();
      case 'historyVisibility':
        return yield stateStep(0, creator, 'm.room.history_visibility', '', {
          history_visibility: left % 2 === 0 ? 'world_readable' : 'shared',
        });
      case 'single':
        return yield this.#single(left);
    }
  }

  #join(branch: number): EventStep {
    const person = this.#cast.newcomer();
    this.#joined.push(person);
    if (!this.#homesSeen.has(person.server)) {
      this.#homesSeen.add(person.server);
      this.#aliasers.push(person);
    }
    return joinStep(branch, this.#cast, person);
  }

  #author(): Person {
    return this.#joined.length === 0 ? this.#cast.creator : this.#random.pick(this.#joined);
  }

  #aliases(person: Person): EventStep {
    const aliases = Array.from({ length: this.#random.between(1, 3) }, () => {
      return `#${this.#random.token(8).toLowerCase()}:${person.server}`;
    });
    return stateStep(0, person, 'm.room.aliases', person.server, { aliases });
  }

  #serverAcl(left: number): EventStep {
    const deny = Array.from({ length: this.#random.between(5, 60) }, () => {
      return `*.${this.#random.token(10).toLowerCase()}.example`;
    });
    const stateKey = left === 0 ? '' : `list-${left}`;
    const content = { allow: ['*'], allow_ip_literals: false, deny };
    return stateStep(0, this.#cast.creator, 'm.room.server_acl', stateKey, content);
  }

  /** One more moderator, when somebody has joined. */
  #powerLevels(): EventStep {
    const users = { ...this.#levels.users };
    if (this.#joined.length > 0) users[this.#random.pick(this.#joined).userId] = 50;
    this.#levels = { ...this.#levels, users };
    return powerStep(0, this.#cast, this.#plan.rules, this.#levels);
  }

  #single(left: number): EventStep {
    const { creator } = this.#cast;
    const contents = [
      ['m.room.avatar', { url: `mxc://${creator.server}/${this.#random.token(24)}` }],
      ['m.room.canonical_alias', { alias: `#headquarters:${creator.server}` }],
      ['m.room.pinned_events', { pinned: [] }],
      ['m.room.related_groups', { groups: [`+${sentence(this.#random, 1).slice(0, -1)}:${creator.server}`] }],
      ['org.matrix.room.preview_urls', { disable: false }],
    ] as const;
    const [type, content] = contents[left] ?? contents[0];
    return stateStep(0, creator, type, '', content);
  }

  /** Two or three branches of joins, each with messages of the people who have just joined it. */
  *#fork(): Generator<ScriptStep> {
    const branches = this.#random.between(2, 3);
    if ((this.#left.get('join') ?? 0) < 3 * branches || (this.#left.get('message') ?? 0) < branches) return;
    yield { kind: 'fork', branches };
    for (let branch = 0; branch < branches; branch++) {
      const joins = this.#random.between(1, 3);
      let newest = this.#cast.creator;
      for (let i = 0; i < joins; i++) {
        this.#spend('join');
        const step = this.#join(branch);
        newest = step.sender;
        yield step;
      }
      this.#spend('message');
      yield messageStep(branch, this.#random, newest);
    }
    yield { kind: 'merge' };
  }
}
