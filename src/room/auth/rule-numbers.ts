// The numbers of the authorisation rules in each version's list, computed from the version's record.
//
// Source: rooms/v1 to rooms/v12, "Authorisation rules". The lists shift when a rule comes or goes: aliases
// left in version 6, the redaction rule in 3, knocking came in 7, restricted joins in 8, and version 12 put
// the room's id in as rule 2. Numbers are those of the rendered lists: in version 12 the source leaves a gap
// in rule 3 and counts 10 twice under rule 10, the page does not. A rule that a version does not have is
// undefined.

import type { RoomVersionRules } from '../../event/rules.js';

export interface CreateNumbers {
  readonly prevEvents: string;
  readonly room: string;
  readonly version: string;
  readonly creator: string | undefined;
  readonly additionalCreators: string | undefined;
  readonly otherwise: string;
}

export interface AuthEventsNumbers {
  readonly all: string;
  readonly duplicate: string;
  readonly unexpected: string;
  readonly rejected: string;
  readonly noCreate: string;
  readonly otherRoom: string;
}

export interface JoinNumbers {
  readonly creator: string;
  readonly sender: string;
  readonly banned: string;
  readonly invited: string;
  readonly restricted: string | undefined;
  readonly public: string;
  readonly otherwise: string;
}

export interface MemberNumbers {
  readonly form: string;
  readonly authorised: string | undefined;
  readonly join: JoinNumbers;
  readonly invite: string;
  readonly leave: string;
  readonly ban: string;
  readonly knock: string | undefined;
  readonly unknown: string;
}

export interface PowerLevelsNumbers {
  readonly named: string | undefined;
  readonly maps: string | undefined;
  readonly users: string;
  readonly creators: string | undefined;
  readonly noPrevious: string;
  readonly namedChange: string;
  readonly entriesCurrent: string;
  readonly entriesNew: string;
  readonly usersCurrent: string;
  readonly usersNew: string;
  readonly otherwise: string;
}

export interface RuleNumbers {
  readonly create: CreateNumbers;
  readonly authEvents: AuthEventsNumbers;
  readonly federate: string;
  readonly aliases: string | undefined;
  readonly member: MemberNumbers;
  readonly senderJoined: string;
  readonly thirdPartyInvite: string;
  readonly level: string;
  readonly stateKey: string;
  readonly powerLevels: PowerLevelsNumbers;
  readonly redaction: string | undefined;
  readonly otherwise: string;
}

const computed = new WeakMap<RoomVersionRules, RuleNumbers>();

/** The numbers of a version's rules. */
export function ruleNumbers(rules: RoomVersionRules): RuleNumbers {
  const known = computed.get(rules);
  if (known !== undefined) return known;
  const numbers = count(rules);
  computed.set(rules, numbers);
  return numbers;
}

function count(rules: RoomVersionRules): RuleNumbers {
  const { authorisation } = rules;
  const next = counter();
  const create = countCreate(counter(next()), rules);
  const room = authorisation.createIsImplied ? next() : undefined;
  const authEvents = countAuthEvents(next(), room);
  return {
    create,
    authEvents,
    federate: next(),
    aliases: authorisation.hasAliasesRule ? next() : undefined,
    member: countMember(counter(next()), rules),
    senderJoined: next(),
    thirdPartyInvite: next(),
    level: next(),
    stateKey: next(),
    powerLevels: countPowerLevels(counter(next()), rules),
    redaction: authorisation.hasRedactionRule ? next() : undefined,
    otherwise: next(),
  };
}

function countCreate(next: () => string, { authorisation }: RoomVersionRules): CreateNumbers {
  return {
    prevEvents: next(),
    room: next(),
    version: next(),
    creator: authorisation.creatorIsInContent ? next() : undefined,
    additionalCreators: authorisation.creatorsArePrivileged ? next() : undefined,
    otherwise: next(),
  };
}

/**
 * @param room the rule on the room's id (version 12), which stands for "no create event among the entries"
 */
function countAuthEvents(all: string, room: string | undefined): AuthEventsNumbers {
  const next = counter(all);
  return {
    all,
    duplicate: next(),
    unexpected: next(),
    rejected: next(),
    noCreate: room ?? next(),
    otherRoom: next(),
  };
}

function countMember(next: () => string, { authorisation }: RoomVersionRules): MemberNumbers {
  return {
    form: next(),
    authorised: authorisation.allowsRestricted ? `${next()}.1` : undefined,
    join: countJoin(counter(next()), authorisation.allowsRestricted),
    invite: next(),
    leave: next(),
    ban: next(),
    knock: authorisation.allowsKnock ? next() : undefined,
    unknown: next(),
  };
}

function countJoin(next: () => string, allowsRestricted: boolean): JoinNumbers {
  return {
    creator: next(),
    sender: next(),
    banned: next(),
    invited: next(),
    restricted: allowsRestricted ? next() : undefined,
    public: next(),
    otherwise: next(),
  };
}

function countPowerLevels(next: () => string, { authorisation }: RoomVersionRules): PowerLevelsNumbers {
  return {
    named: authorisation.requiresIntegerLevels ? next() : undefined,
    maps: authorisation.requiresIntegerLevels ? next() : undefined,
    users: next(),
    creators: authorisation.creatorsArePrivileged ? next() : undefined,
    noPrevious: next(),
    namedChange: next(),
    entriesCurrent: `${next()}.1`,
    entriesNew: `${next()}.1`,
    usersCurrent: `${next()}.1`,
    usersNew: `${next()}.1`,
    otherwise: next(),
  };
}

/** Counts 1, 2, 3, ... below a prefix. */
function counter(prefix?: string): () => string {
  let last = 0;
  return () => {
    last++;
    return prefix === undefined ? String(last) : `${prefix}.${last}`;
  };
}
