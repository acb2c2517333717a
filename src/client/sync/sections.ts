// The rooms of an answer, by what the user has to do with them.

import type { RoomId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';

type Section = 'join' | 'invite' | 'knock' | 'leave';
export type RoomSections = Record<Section, Record<RoomId, JsonObject>>;
