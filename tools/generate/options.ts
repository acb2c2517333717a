// What a generated room is asked to be: presets, defaults, limits.

import { type RoomVersionRules, rulesOf } from '../../src/event/rules.js';
import { GenerateBadOptionError } from './errors.js';

/** What `stateroom generate` takes. All may be left out. */
export interface GenerateOptions {
  /** `hq`: the shape of Matrix HQ (see hq.ts). `small`: 20 members on 3 servers with 2 forks. */
  readonly preset?: 'hq' | 'small';
  /** Users joined at the end, the creator among them. */
  readonly members?: number;
  /** Servers that take part; each has at least one member. */
  readonly servers?: number;
  /** `1` to `12`. */
  readonly roomVersion?: string;
  /** How often the room splits into two or three branches and comes together again. */
  readonly forks?: number;
  /** Messages between the state events, those within forks not counted. */
  readonly messages?: number;
  /** Same seed and options, same bytes. */
  readonly seed?: string;
}

/** Options with every default filled in and checked. */
export interface RoomPlan {
  readonly shape: 'hq' | 'everyday';
  readonly members: number;
  readonly servers: number;
  readonly rules: RoomVersionRules;
  readonly forks: number;
  readonly messages: number;
  readonly seed: string;
}

/** State events of Matrix HQ by type, as counted in the field; members are `HQ_MEMBERS` unless asked otherwise. */
export const HQ_STATE_EVENTS = {
  'm.room.aliases': 141,
  'm.room.server_acl': 23,
  'm.room.join_rules': 9,
  'm.room.guest_access': 6,
  'm.room.power_levels': 5,
  'm.room.history_visibility': 3,
} as const;

export const HQ_MEMBERS = 30_661;

const membersMax = 1_000_000;
const messagesMax = 10_000_000;

/**
 * Fills in defaults and checks.
 *
 * @throws GENERATE_BAD_OPTION when a number is out of range, the version unknown, or servers outnumber members
 */
export function planOf(options: GenerateOptions): RoomPlan {
  const isHq = options.preset === 'hq';
  const isSmall = options.preset === 'small';
  const version = options.roomVersion ?? (isHq ? '10' : '12');
  const rules = rulesOf(version);
  if (rules === undefined) throw new GenerateBadOptionError(`room version '${version}' is none of 1 to 12`);
  const members = within(
    'members',
    options.members ?? (isHq ? HQ_MEMBERS : isSmall ? 20 : 100),
    1,
    membersMax,
  );
  const servers = within(
    'servers',
    options.servers ?? Math.min(members, isHq ? 2000 : isSmall ? 3 : 5),
    1,
    membersMax,
  );
  if (servers > members) {
    throw new GenerateBadOptionError(`${servers} servers need at least as many members, not ${members}`);
  }
  const aliases = HQ_STATE_EVENTS['m.room.aliases'];
  if (isHq && servers < aliases) {
    throw new GenerateBadOptionError(
      `preset hq has aliases of ${aliases} servers, so it needs as many, not ${servers}`,
    );
  }
  const forks = within('forks', options.forks ?? (isHq ? 40 : isSmall ? 2 : 0), 0, Math.max(10, members * 2));
  const messages = within('messages', options.messages ?? (isHq ? 5000 : members * 2), 0, messagesMax);
  return {
    shape: isHq ? 'hq' : 'everyday',
    members,
    servers,
    rules,
    forks,
    messages,
    seed: options.seed ?? 'stateroom',
  };
}

function within(name: string, value: number, low: number, high: number): number {
  if (Number.isSafeInteger(value) && value >= low && value <= high) return value;
  throw new GenerateBadOptionError(`${name} is ${value}; it must be a whole number from ${low} to ${high}`);
}
