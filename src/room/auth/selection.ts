// Which events of the state an event cites as its `auth_events`.
//
// Source: server-server API, "Auth events selection"; rooms/v12 (the create event is not selected).

import { isObject, own, type JsonObject } from '../../event/json.js';
import type { RoomVersionRules } from '../../event/rules.js';

/** A key of the state. */
export type AuthEventKey = readonly [type: string, stateKey: string];

/** What the selection reads: an event, or the template of one that is yet to be built. */
export interface AuthTemplate {
  readonly rules: RoomVersionRules;
  readonly type: string;
  readonly sender: string;
  readonly stateKey: string | undefined;
  readonly content: JsonObject;
}

/**
 * The keys whose current events, where there are any, are the event's `auth_events`. No key comes twice; at
 * most 7. A create event has none.
 */
export function authEventKeys(event: AuthTemplate): readonly AuthEventKey[] {
  if (event.type === 'm.room.create') return [];
  const keys: AuthEventKey[] = [];
  if (!event.rules.authorisation.createIsImplied) keys.push(['m.room.create', '']);
  keys.push(['m.room.power_levels', ''], ['m.room.member', event.sender]);
  if (event.type === 'm.room.member') pushMemberKeys(keys, event);
  return keys;
}

function pushMemberKeys(keys: AuthEventKey[], event: AuthTemplate): void {
  const members = new Set<string>([event.sender]);
  const pushMember = (userId: string): void => {
    if (!members.has(userId)) keys.push(['m.room.member', userId]);
    members.add(userId);
  };
  if (event.stateKey !== undefined) pushMember(event.stateKey);

  const membership = own(event.content, 'membership');
  if (membership === 'join' || membership === 'invite' || membership === 'knock')
    keys.push(['m.room.join_rules', '']);
  if (membership === 'invite') {
    const token = thirdPartyToken(event.content);
    if (token !== undefined) keys.push(['m.room.third_party_invite', token]);
  }
  if (membership === 'join' && event.rules.authorisation.allowsRestricted) {
    const authorising = own(event.content, 'join_authorised_via_users_server');
    if (typeof authorising === 'string') pushMember(authorising);
  }
}

/** `content.third_party_invite.signed.token`, where it is a string. */
function thirdPartyToken(content: JsonObject): string | undefined {
  const invite = own(content, 'third_party_invite');
  const signed = isObject(invite) ? own(invite, 'signed') : undefined;
  const token = isObject(signed) ? own(signed, 'token') : undefined;
  return typeof token === 'string' ? token : undefined;
}
