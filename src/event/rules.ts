// What each room version says, as one record a version: nothing else in stateroom asks for a version's number.
//
// Source: Matrix specification v1.19, rooms/v1 to rooms/v12. Each record is its predecessor with what it changed.

/** The room versions that stateroom speaks. */
export type RoomVersion =
  | '1'
  | '2'
  | '3'
  | '4'
  | '5'
  | '6'
  | '7'
  | '8'
  | '9'
  | '10'
  | '11'
  | '12'
  | typeof INTERNAL_VERSION;

/** The version of rooms that exist on this server only; no event from outside may claim it. */
export const INTERNAL_VERSION = 'stateroom.internal';

/** What redaction keeps beyond the keys that every version keeps. */
export interface RedactionRules {
  /** Top-level `origin`, `membership` and `prev_state` survive (1 to 10). */
  readonly keepsOldTopLevelKeys: boolean;
  /** `m.room.aliases` keeps `aliases` (1 to 5). */
  readonly keepsAliases: boolean;
  /** `m.room.join_rules` keeps `allow` (8 and later). */
  readonly keepsAllow: boolean;
  /** `m.room.member` keeps `join_authorised_via_users_server` (9 and later). */
  readonly keepsAuthorisingUser: boolean;
  /** `m.room.create` keeps all its content (11 and later); before, only `creator`. */
  readonly keepsAllOfCreate: boolean;
  /** `m.room.power_levels` keeps `invite` (11 and later). */
  readonly keepsInviteLevel: boolean;
  /** `m.room.member` keeps `signed` of `third_party_invite` (11 and later). */
  readonly keepsThirdPartySigned: boolean;
  /** `m.room.redaction` keeps `content.redacts` (11 and later). */
  readonly keepsContentRedacts: boolean;
}

/** What authorisation does differently from version to version. */
export interface AuthorisationRules {
  /** `m.room.aliases` has a rule of its own: state key is the sender's server (1 to 5). */
  readonly hasAliasesRule: boolean;
  /** A redaction is authorised by level or by the domain of the redacted id (1, 2); later it is applied or not. */
  readonly hasRedactionRule: boolean;
  /** Changes to `notifications` are checked in power levels (6 and later). */
  readonly checksNotifications: boolean;
  /** Membership and join rule `knock` (7 and later). */
  readonly allowsKnock: boolean;
  /** Join rule `restricted` (8 and later). */
  readonly allowsRestricted: boolean;
  /** Join rule `knock_restricted` (10 and later). */
  readonly allowsKnockRestricted: boolean;
  /** Power levels must be integers of the right shape (10 and later); before, strings and floats are read as Synapse does. */
  readonly requiresIntegerLevels: boolean;
  /** The creator is `content.creator` of the create event (1 to 10); later its sender. */
  readonly creatorIsInContent: boolean;
  /** Creators, `additional_creators` among them, stand above every level and may not be listed in `users` (12). */
  readonly creatorsArePrivileged: boolean;
  /** The create event is implied by the room id and never among the auth events (12). */
  readonly createIsImplied: boolean;
}

/** All that a room version decides. */
export interface RoomVersionRules {
  readonly version: RoomVersion;
  /** A room of this server's own records: never federated, not signed, not authorised. */
  readonly isInternal: boolean;
  /** Where an event's id comes from: a field (1, 2), or the reference hash in standard (3) or URL-safe base64 (4 and later). */
  readonly eventIdFormat: 'field' | 'base64' | 'base64url';
  /** `prev_events` and `auth_events` are `[id, hashes]` pairs (1, 2). */
  readonly referencesAreHashed: boolean;
  /** The server in the event id must have signed too (1, 2). */
  readonly eventIdServerSigns: boolean;
  /** Integers only, within ±(2^53 - 1) (6 and later); before, any JSON number. */
  readonly strictCanonicalJson: boolean;
  /** Signing keys count only while `valid_until_ts` lasts (5 and later). */
  readonly enforcesKeyValidity: boolean;
  /** The room id is the create event's hash, and the create event has none (12). */
  readonly roomIdIsCreateHash: boolean;
  /** `redacts` lies in content (11 and later); before, at the top level. */
  readonly redactsIsInContent: boolean;
  readonly redaction: RedactionRules;
  readonly authorisation: AuthorisationRules;
  /** State resolution: v1 (1), v2 (2 to 11), v2.1 (12). */
  readonly stateResolution: 'v1' | 'v2' | 'v2.1';
}

const v1: RoomVersionRules = {
  version: '1',
  isInternal: false,
  eventIdFormat: 'field',
  referencesAreHashed: true,
  eventIdServerSigns: true,
  strictCanonicalJson: false,
  enforcesKeyValidity: false,
  roomIdIsCreateHash: false,
  redactsIsInContent: false,
  redaction: {
    keepsOldTopLevelKeys: true,
    keepsAliases: true,
    keepsAllow: false,
    keepsAuthorisingUser: false,
    keepsAllOfCreate: false,
    keepsInviteLevel: false,
    keepsThirdPartySigned: false,
    keepsContentRedacts: false,
  },
  authorisation: {
    hasAliasesRule: true,
    hasRedactionRule: true,
    checksNotifications: false,
    allowsKnock: false,
    allowsRestricted: false,
    allowsKnockRestricted: false,
    requiresIntegerLevels: false,
    creatorIsInContent: true,
    creatorsArePrivileged: false,
    createIsImplied: false,
  },
  stateResolution: 'v1',
};

const v2: RoomVersionRules = { ...v1, version: '2', stateResolution: 'v2' };

const v3: RoomVersionRules = {
  ...v2,
  version: '3',
  eventIdFormat: 'base64',
  referencesAreHashed: false,
  eventIdServerSigns: false,
  authorisation: { ...v2.authorisation, hasRedactionRule: false },
};

const v4: RoomVersionRules = { ...v3, version: '4', eventIdFormat: 'base64url' };

const v5: RoomVersionRules = { ...v4, version: '5', enforcesKeyValidity: true };

const v6: RoomVersionRules = {
  ...v5,
  version: '6',
  strictCanonicalJson: true,
  redaction: { ...v5.redaction, keepsAliases: false },
  authorisation: { ...v5.authorisation, hasAliasesRule: false, checksNotifications: true },
};

const v7: RoomVersionRules = {
  ...v6,
  version: '7',
  authorisation: { ...v6.authorisation, allowsKnock: true },
};

const v8: RoomVersionRules = {
  ...v7,
  version: '8',
  redaction: { ...v7.redaction, keepsAllow: true },
  authorisation: { ...v7.authorisation, allowsRestricted: true },
};

const v9: RoomVersionRules = {
  ...v8,
  version: '9',
  redaction: { ...v8.redaction, keepsAuthorisingUser: true },
};

const v10: RoomVersionRules = {
  ...v9,
  version: '10',
  authorisation: { ...v9.authorisation, allowsKnockRestricted: true, requiresIntegerLevels: true },
};

const v11: RoomVersionRules = {
  ...v10,
  version: '11',
  redactsIsInContent: true,
  redaction: {
    ...v10.redaction,
    keepsOldTopLevelKeys: false,
    keepsAllOfCreate: true,
    keepsInviteLevel: true,
    keepsThirdPartySigned: true,
    keepsContentRedacts: true,
  },
  authorisation: { ...v10.authorisation, creatorIsInContent: false },
};

const v12: RoomVersionRules = {
  ...v11,
  version: '12',
  roomIdIsCreateHash: true,
  authorisation: { ...v11.authorisation, creatorsArePrivileged: true, createIsImplied: true },
  stateResolution: 'v2.1',
};

/** The record of internal rooms. */
export const INTERNAL_RULES: RoomVersionRules = {
  ...v12,
  version: INTERNAL_VERSION,
  isInternal: true,
  roomIdIsCreateHash: false,
};

/** Every version's record, oldest first. */
export const ROOM_VERSIONS: readonly RoomVersionRules[] = [v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12];

const byVersion = new Map<string, RoomVersionRules>(ROOM_VERSIONS.map((rules) => [rules.version, rules]));

/** The record of a room version of the specification, or undefined when stateroom does not know it. */
export function rulesOf(version: string): RoomVersionRules | undefined {
  return byVersion.get(version);
}

/** The record of the version of a stored room, which may be an internal one. */
export function storedRulesOf(version: string): RoomVersionRules | undefined {
  return version === INTERNAL_VERSION ? INTERNAL_RULES : byVersion.get(version);
}
