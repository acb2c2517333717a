// Rule 1: `m.room.create`.

import { parseUserId } from '../../event/ids.js';
import { isArray, own, type JsonValue } from '../../event/json.js';
import { rulesOf } from '../../event/rules.js';
import { shown, type AuthCase } from './case.js';
import { domainOf } from './user-ids.js';
import type { AuthVerdict } from './verdict.js';

export function createRule(hearing: AuthCase): AuthVerdict | undefined {
  const { event, numbers } = hearing;
  if (event.type !== 'm.room.create') return undefined;
  const rules = numbers.create;

  if (event.prevEvents.length > 0)
    return hearing.reject(rules.prevEvents, 'a create event has no prev_events');

  if (event.rules.roomIdIsCreateHash) {
    if (own(event.json, 'room_id') !== undefined) {
      return hearing.reject(rules.room, 'a create event has no room_id: its own id is the room');
    }
  } else if (domainOf(event.roomId) !== domainOf(event.sender)) {
    return hearing.reject(
      rules.room,
      `room ${event.roomId} is not on the server of its creator ${event.sender}`,
    );
  }

  const version = own(event.content, 'room_version');
  if (version !== undefined && (typeof version !== 'string' || rulesOf(version) === undefined)) {
    return hearing.reject(rules.version, `room version ${shown(version)} is not known`);
  }

  if (rules.creator !== undefined && own(event.content, 'creator') === undefined) {
    return hearing.reject(rules.creator, 'the create event names no creator');
  }

  const additional = own(event.content, 'additional_creators');
  if (rules.additionalCreators !== undefined && additional !== undefined && !areUserIds(additional)) {
    return hearing.reject(rules.additionalCreators, 'additional_creators is not an array of valid user ids');
  }
  return hearing.allow(rules.otherwise, `${event.sender} creates the room`);
}

function areUserIds(value: JsonValue): boolean {
  return (
    isArray(value) && value.every((entry) => typeof entry === 'string' && parseUserId(entry) !== undefined)
  );
}
