// A generated room before it is woven: who says what, in which order, and where the graph splits and merges.
//
// A script knows no ids, hashes or signatures, so it costs little and its shape can be counted and tested alone.
//
//   event 0 ── event 0 ─┬─ event 0 ── event 0 ─┬─ event 0        { fork 2 } after the second event,
//                       └─ event 1 ── event 1 ─┘                 { merge } before the last
//
// What a script must keep, so that every event is allowed whatever state resolution makes of the merge: between
// fork and merge no two branches touch the same key, but for keys that authorise nothing (topic, name, ...) and
// for power levels that the creator changes without taking a level from anyone, deeper in each later branch.

import type { JsonObject } from '../../src/event/json.js';
import type { RoomVersionRules } from '../../src/event/rules.js';
import type { Cast, Person } from './cast.js';
import type { Random } from './random.js';
import { sentence } from './words.js';

export interface EventStep {
  readonly kind: 'event';
  /** Branch it continues: 0 outside forks. */
  readonly branch: number;
  readonly sender: Person;
  readonly type: string;
  /** Present on state events. */
  readonly stateKey?: string;
  readonly content: JsonObject;
}

export type ScriptStep =
  | EventStep
  /** The branches from here on are 0 to `branches` - 1, all starting at the present end. */
  | { readonly kind: 'fork'; readonly branches: number }
  /** The next event follows the ends of all branches; from here on there is branch 0 alone. */
  | { readonly kind: 'merge' };

/** A state event's step. */
export function stateStep(
  branch: number,
  sender: Person,
  type: string,
  stateKey: string,
  content: JsonObject,
): EventStep {
  return { kind: 'event', branch, sender, type, stateKey, content };
}

/** A person's own member event with a fresh profile: a join, or a change of profile when joined already. */
export function joinStep(branch: number, cast: Cast, person: Person): EventStep {
  return stateStep(branch, person, 'm.room.member', person.userId, cast.profile(person));
}

/** A message as clients write them: mostly short text, sometimes formatted, sometimes a picture. */
export function messageStep(branch: number, random: Random, sender: Person): EventStep {
  return { kind: 'event', branch, sender, type: 'm.room.message', content: messageContent(random, sender) };
}

function messageContent(random: Random, sender: Person): JsonObject {
  if (random.oneIn(25)) {
    const name = `${random.token(8).toLowerCase()}.png`;
    const size = random.between(10_000, 4_000_000);
    return {
      msgtype: 'm.image',
      body: name,
      url: `mxc://${sender.server}/${random.token(24)}`,
      info: { mimetype: 'image/png', w: random.between(200, 4000), h: random.between(200, 4000), size },
    };
  }
  const body = sentence(random, random.oneIn(8) ? random.between(30, 90) : random.between(2, 20));
  if (!random.oneIn(6)) return { msgtype: 'm.text', body };
  return { msgtype: 'm.text', body, format: 'org.matrix.custom.html', formatted_body: `<p>${body}</p>` };
}

/** Power levels as they stand in a room; the script changes copies of them. */
export interface PowerLevels {
  readonly users: Readonly<Record<string, number>>;
  readonly events: Readonly<Record<string, number>>;
  readonly notifications: Readonly<Record<string, number>>;
}

/** A power levels event by the creator. Creators with privileges (version 12) may not be listed, so they are not. */
export function powerStep(
  branch: number,
  cast: Cast,
  rules: RoomVersionRules,
  levels: PowerLevels,
): EventStep {
  const creators = rules.authorisation.creatorsArePrivileged ? {} : { [cast.creator.userId]: 100 };
  return stateStep(branch, cast.creator, 'm.room.power_levels', '', {
    ban: 50,
    events: levels.events,
    events_default: 0,
    invite: 0,
    kick: 50,
    notifications: levels.notifications,
    redact: 50,
    state_default: 50,
    users: { ...creators, ...levels.users },
    users_default: 0,
  });
}

/** The first events of every room, from its creation to its topic. */
export function* openingSteps(
  cast: Cast,
  random: Random,
  rules: RoomVersionRules,
  levels: PowerLevels,
): Generator<EventStep> {
  const { creator } = cast;
  const claim = rules.authorisation.creatorIsInContent ? { creator: creator.userId } : {};
  yield stateStep(0, creator, 'm.room.create', '', { ...claim, room_version: rules.version });
  yield joinStep(0, cast, creator);
  yield powerStep(0, cast, rules, levels);
  yield stateStep(0, creator, 'm.room.join_rules', '', { join_rule: 'public' });
  yield stateStep(0, creator, 'm.room.history_visibility', '', { history_visibility: 'shared' });
  yield stateStep(0, creator, 'm.room.guest_access', '', { guest_access: 'forbidden' });
  yield stateStep(0, creator, 'm.room.name', '', { name: sentence(random, 3) });
  yield stateStep(0, creator, 'm.room.topic', '', { topic: sentence(random, 12) });
}
