// An ordinary room's life: people join, talk, rename themselves, the topic changes, moderators are made, visitors
// come and leave, are kicked, banned and unbanned. On request it splits now and then, and the branches disagree.
//
// At the end exactly `members` users are joined; visitors come on top of them and are gone by then.

import type { Cast, Person } from './cast.js';
import type { RoomPlan } from './options.js';
import type { Random } from './random.js';
import {
  joinStep,
  messageStep,
  openingSteps,
  type PowerLevels,
  powerStep,
  type ScriptStep,
  stateStep,
} from './script.js';
import { sentence } from './words.js';

/** Visitors beside so many members. */
export function visitorsOf(members: number): number {
  return Math.max(3, Math.ceil(members / 10));
}

/** The script of an everyday room. */
export function everydayScript(plan: RoomPlan, cast: Cast, random: Random): Generator<ScriptStep> {
  return new EverydayRoom(plan, cast, random).steps();
}

/** What may still happen outside forks, by kind. */
interface Budget {
  join: number;
  visit: number;
  depart: number;
  unban: number;
  profile: number;
  describe: number;
  promote: number;
  message: number;
}

type Action = keyof Budget;

/** Who acts where between fork and merge. Outside forks one scene is the whole room. */
interface Scene {
  readonly branch: number;
  /** Joined for good, without creator and moderators. */
  readonly regulars: Person[];
  /** Joined, and to depart. */
  readonly visitors: Person[];
}

const descriptions = ['m.room.topic', 'm.room.name', 'm.room.avatar'] as const;
const moderatorsMax = 3;

class EverydayRoom {
  readonly #plan: RoomPlan;
  readonly #cast: Cast;
  readonly #random: Random;
  readonly #budget: Budget;
  readonly #banned: Person[] = [];
  readonly #moderators: Person[] = [];
  #levels: PowerLevels = { users: {}, events: { 'm.room.power_levels': 100 }, notifications: { room: 50 } };
  #scene: Scene = { branch: 0, regulars: [], visitors: [] };

  constructor(plan: RoomPlan, cast: Cast, random: Random) {
    this.#plan = plan;
    this.#cast = cast;
    this.#random = random;
    const { members, messages } = plan;
    this.#budget = {
      join: members - 1,
      visit: visitorsOf(members),
      depart: visitorsOf(members),
      unban: 0,
      profile: Math.ceil(members / 4),
      describe: Math.max(4, Math.ceil(members / 20)),
      promote: Math.min(moderatorsMax, members - 1),
      message: messages,
    };
  }

  *steps(): Generator<ScriptStep> {
    yield* openingSteps(this.#cast, this.#random, this.#plan.rules, this.#levels);
    const planned = this.#left();
    let forked = 0;
    for (let left = planned; left > 0 || forked < this.#plan.forks; left = this.#left()) {
      const due = Math.floor(((planned - left) * (this.#plan.forks + 1)) / (planned + 1));
      if (forked < this.#plan.forks && (left === 0 || forked < due)) yield* this.#fork(forked++);
      else yield* this.#act(this.#draw(), this.#scene);
    }
  }

  #left(): number {
    return Object.values(this.#budget).reduce((sum, count) => sum + count, 0);
  }

  /** An action that can happen now, drawn by what is left of each. */
  #draw(): Action {
    const { regulars, visitors } = this.#scene;
    const possible = {
      ...this.#budget,
      depart: visitors.length === 0 ? 0 : this.#budget.depart,
      unban: this.#banned.length === 0 ? 0 : this.#budget.unban,
      promote: regulars.length === 0 ? 0 : this.#budget.promote,
    };
    let drawn = this.#random.below(Object.values(possible).reduce((sum, count) => sum + count, 0));
    for (const [action, count] of Object.entries(possible)) {
      if (drawn < count && isAction(action)) return action;
      drawn -= count;
    }
    return 'message';
  }

  *#act(action: Action, scene: Scene): Generator<ScriptStep> {
    this.#budget[action] = Math.max(0, this.#budget[action] - 1);
    const random = this.#random;
    switch (action) {
      case 'join':
        return yield* this.#join(scene, scene.regulars);
      case 'visit':
        return yield* this.#join(scene, scene.visitors);
      case 'depart':
        return yield this.#departure(scene, random.take(scene.visitors));
      case 'unban': {
        const content = { membership: 'leave', reason: sentence(random, 4) };
        return yield this.#memberStep(scene, this.#keeper(), random.take(this.#banned), content);
      }
      case 'profile':
        return yield joinStep(scene.branch, this.#cast, this.#author(scene));
      case 'describe':
        return yield this.#description(scene.branch, random.pick(descriptions));
      case 'promote':
        return yield this.#promotion(scene);
      case 'message':
        return yield messageStep(scene.branch, random, this.#author(scene));
    }
  }

  *#join(scene: Scene, company: Person[]): Generator<ScriptStep> {
    const person = this.#cast.newcomer();
    if (this.#random.oneIn(8)) {
      yield this.#memberStep(scene, this.#author(scene), person, { membership: 'invite' });
    }
    yield joinStep(scene.branch, this.#cast, person);
    company.push(person);
  }

  #departure(scene: Scene, person: Person): ScriptStep {
    const kind = this.#random.below(4);
    if (kind < 2) return this.#memberStep(scene, person, person, { membership: 'leave' });
    const reason = sentence(this.#random, 5);
    if (kind === 2) return this.#memberStep(scene, this.#keeper(), person, { membership: 'leave', reason });
    this.#banned.push(person);
    // About every second ban is lifted later.
    if (this.#banned.length > 2 * this.#budget.unban) this.#budget.unban += 1;
    return this.#memberStep(scene, this.#keeper(), person, { membership: 'ban', reason });
  }

  #promotion(scene: Scene): ScriptStep {
    const person = this.#random.take(scene.regulars);
    this.#moderators.push(person);
    this.#levels = { ...this.#levels, users: { ...this.#levels.users, [person.userId]: 50 } };
    return powerStep(scene.branch, this.#cast, this.#plan.rules, this.#levels);
  }

  /** A change of what the room is called or shows: nothing is authorised by it, so branches may disagree. */
  #description(branch: number, type: (typeof descriptions)[number]): ScriptStep {
    const keeper = this.#keeper();
    const content = {
      'm.room.topic': { topic: sentence(this.#random, this.#random.between(6, 30)) },
      'm.room.name': { name: sentence(this.#random, this.#random.between(1, 4)) },
      'm.room.avatar': { url: `mxc://${keeper.server}/${this.#random.token(24)}` },
    }[type];
    return stateStep(branch, keeper, type, '', content);
  }

  /**
   * Two or three branches that each change the same description, in every second fork power levels too, and go on
   * with people of their own. The creator's power level change comes one step deeper in each later branch, so the
   * last one is newest by time and by depth and stands after the merge in every version's resolution.
   */
  *#fork(number: number): Generator<ScriptStep> {
    const branches = this.#random.between(2, 3);
    const type = descriptions[number % descriptions.length] ?? 'm.room.topic';
    const disputesPower = number % 2 === 1;
    const { notifications } = this.#levels;
    const scenes = this.#split(branches);
    yield { kind: 'fork', branches };
    for (const scene of scenes) {
      yield this.#description(scene.branch, type);
      const length = branches + this.#random.between(1, 3);
      for (let position = 0; position < length; position++) {
        if (disputesPower && position === scene.branch) {
          this.#levels = {
            ...this.#levels,
            notifications: { ...notifications, room: this.#random.between(0, 100) },
          };
          yield powerStep(scene.branch, this.#cast, this.#plan.rules, this.#levels);
        } else {
          yield* this.#actInBranch(scene);
        }
      }
    }
    yield { kind: 'merge' };
    this.#scene = {
      branch: 0,
      regulars: scenes.flatMap((scene) => scene.regulars),
      visitors: scenes.flatMap((scene) => scene.visitors),
    };
  }

  /** One event exactly, so that depths within a fork can be foreseen. */
  *#actInBranch(scene: Scene): Generator<ScriptStep> {
    const kind = this.#random.below(4);
    if (kind === 0 && this.#budget.join > 0) {
      this.#budget.join -= 1;
      const person = this.#cast.newcomer();
      scene.regulars.push(person);
      yield joinStep(scene.branch, this.#cast, person);
    } else if (kind === 1 && scene.visitors.length > 0) {
      this.#budget.depart -= 1;
      yield this.#departure(scene, this.#random.take(scene.visitors));
    } else if (kind === 2 && scene.regulars.length > 0) {
      yield joinStep(scene.branch, this.#cast, this.#random.pick(scene.regulars));
    } else {
      yield messageStep(scene.branch, this.#random, this.#author(scene));
    }
  }

  /** Everyone in one branch only. */
  #split(branches: number): Scene[] {
    const scenes = Array.from(
      { length: branches },
      (_, branch): Scene => ({ branch, regulars: [], visitors: [] }),
    );
    for (const company of ['regulars', 'visitors'] as const) {
      for (const person of this.#scene[company]) this.#random.pick(scenes)[company].push(person);
    }
    return scenes;
  }

  #memberStep(scene: Scene, sender: Person, target: Person, content: Record<string, string>): ScriptStep {
    return stateStep(scene.branch, sender, 'm.room.member', target.userId, content);
  }

  /** Somebody joined on this branch, whoever it is. */
  #author(scene: Scene): Person {
    return scene.regulars.length === 0 ? this.#cast.creator : this.#random.pick(scene.regulars);
  }

  /** Somebody who may kick, ban and change state on every branch. */
  #keeper(): Person {
    return this.#random.pick([this.#cast.creator, ...this.#moderators]);
  }
}

const actions: readonly string[] = [
  'join',
  'visit',
  'depart',
  'unban',
  'profile',
  'describe',
  'promote',
  'message',
] satisfies Action[];

function isAction(name: string): name is Action {
  return actions.includes(name);
}
