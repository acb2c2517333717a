// What the users of simulated rooms try to do, allowed or not: the rules decide, not this list.
//
// The deeds lean towards what puts state in conflict: levels, bans, memberships, join rules.

import type { EventId } from '../../src/event/ids.js';
import { isObject, type JsonObject, type JsonValue, own } from '../../src/event/json.js';
import type { Random } from '../../tools/generate/random.js';
import type { Draft, TestServer } from './test-server.js';

/** Who acts, on what server, among whom. */
export interface Scene {
  readonly random: Random;
  readonly server: TestServer;
  readonly sender: string;
  /** All users of the room, joined or not. */
  readonly users: readonly string[];
  /** Events that the server knows. */
  readonly events: readonly EventId[];
}

type Deed = (scene: Scene) => Draft;

const LEVELS = [0, 0, 10, 25, 50, 50, 75, 100, -5, 101];
const STATE_TYPES = [
  'm.room.topic',
  'm.room.name',
  'x.note',
  'toString',
  '__proto__',
  'm.room.member',
  'm.room.aliases',
];

function state(scene: Scene, type: string, stateKey: string, content: JsonObject): Draft {
  return { type, sender: scene.sender, stateKey, content };
}

function member(scene: Scene, user: string, membership: string, more: JsonObject = {}): Draft {
  return state(scene, 'm.room.member', user, { membership, ...more });
}

const message: Deed = ({ random, sender }) => ({
  type: 'm.room.message',
  sender,
  content: { msgtype: 'm.text', body: random.token(4) },
});

const note: Deed = (scene) => {
  const { random, sender } = scene;
  const type = random.pick([
    'm.room.topic',
    'm.room.topic',
    'm.room.name',
    'x.note',
    'toString',
    '__proto__',
  ]);
  const keys = type.startsWith('m.') ? [''] : ['', 'a', '__proto__', sender, random.pick(scene.users)];
  return state(scene, type, random.pick(keys), { value: random.token(4) });
};

const aliases: Deed = (scene) =>
  state(scene, 'm.room.aliases', scene.random.pick([scene.server.name, 'elsewhere.test']), {
    aliases: [`#${scene.random.token(3)}:${scene.server.name}`],
  });

const join: Deed = (scene) => {
  const { random, server, sender, users } = scene;
  const rule = server.current('m.room.join_rules')?.content;
  const isRestricted = rule?.['join_rule'] === 'restricted' || rule?.['join_rule'] === 'knock_restricted';
  if (!isRestricted || random.oneIn(4))
    return member(scene, sender, 'join', { displayname: random.token(2) });
  const authoriser = random.pick(users);
  const cosigner = authoriser.slice(authoriser.indexOf(':') + 1);
  return { ...member(scene, sender, 'join', { join_authorised_via_users_server: authoriser }), cosigner };
};

const leave: Deed = (scene) => member(scene, scene.sender, 'leave');
const knock: Deed = (scene) => member(scene, scene.sender, 'knock');
const invite: Deed = (scene) => member(scene, scene.random.pick(scene.users), 'invite');
const kick: Deed = (scene) => member(scene, scene.random.pick(scene.users), 'leave');
const ban: Deed = (scene) => member(scene, scene.random.pick(scene.users), 'ban');
const unban: Deed = (scene) => {
  const banned = scene.users.filter(
    (user) => scene.server.current('m.room.member', user)?.content['membership'] === 'ban',
  );
  return member(scene, scene.random.pick(banned.length === 0 ? scene.users : banned), 'leave');
};

const joinRule: Deed = (scene) => {
  const { random } = scene;
  const rule = random.pick(['public', 'public', 'invite', 'knock', 'restricted', 'knock_restricted']);
  return state(scene, 'm.room.join_rules', '', { join_rule: rule, allow: [] });
};

const levels: Deed = (scene) => {
  const { random, server, users } = scene;
  const before = server.current('m.room.power_levels')?.content ?? {};
  const level = writtenLevel(scene, random.pick(LEVELS));
  if (!random.oneIn(3)) {
    const target = random.pick(users);
    return state(scene, 'm.room.power_levels', '', {
      ...before,
      users: changed(before, 'users', target, level),
    });
  }
  if (random.oneIn(2)) {
    const type = random.pick(STATE_TYPES);
    return state(scene, 'm.room.power_levels', '', {
      ...before,
      events: changed(before, 'events', type, level),
    });
  }
  const field = random.pick([
    'ban',
    'kick',
    'redact',
    'invite',
    'state_default',
    'events_default',
    'users_default',
  ]);
  return state(scene, 'm.room.power_levels', '', { ...before, [field]: level });
};

/** Before version 10 a level may be written as a string. */
function writtenLevel({ random, server }: Scene, level: number): JsonValue {
  const isLoose = !server.rules.authorisation.requiresIntegerLevels;
  return isLoose && random.oneIn(4) ? random.pick([`${level}`, ` ${level} `]) : level;
}

/** One of the maps in power levels, with an entry set; zero takes it out, so that entries also vanish. */
function changed(content: JsonObject, field: string, name: string, level: JsonValue): JsonObject {
  const map = own(content, field);
  const entries = Object.entries(isObject(map) ? map : {}).filter(([key]) => key !== name);
  return Object.fromEntries(level === 0 ? entries : [...entries, [name, level]]);
}

const redaction: Deed = ({ random, sender, events }) => ({
  type: 'm.room.redaction',
  sender,
  content: {},
  redacts: random.pick(events),
});

const DEEDS: readonly (readonly [weight: number, deed: Deed])[] = [
  [4, message],
  [4, note],
  [1, aliases],
  [4, join],
  [2, leave],
  [1, knock],
  [2, invite],
  [3, kick],
  [4, ban],
  [2, unban],
  [2, joinRule],
  [6, levels],
  [1, redaction],
];
const LOTS = DEEDS.flatMap(([weight, deed]) => new Array<Deed>(weight).fill(deed));

/** Something that the sender of the scene tries. */
export function chooseDeed(scene: Scene): Draft {
  return scene.random.pick(LOTS)(scene);
}
