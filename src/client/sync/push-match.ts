// Which push rule an event matches for a user, and so whether it notifies and is highlighted.
//
// Source: client-server API, "Push Rules"; "Conditions".

import type { PushRule } from '../../account/default-push-rules.js';
import type { PushRuleset } from '../../account/push-rules.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../../event/json.js';

/** What conditions ask beside the event. */
export interface PushContext {
  readonly memberCount: number;
  /** The user's name in the room, for rules of older clients. */
  readonly displayName: string | undefined;
  /** May the sender notify everybody (`room`), or by another key of the power levels' `notifications`? */
  readonly mayNotify: (key: string) => boolean;
}

export interface PushOutcome {
  readonly isNotifying: boolean;
  readonly isHighlight: boolean;
}

const NOTHING: PushOutcome = { isNotifying: false, isHighlight: false };
const KINDS = ['override', 'content', 'room', 'sender', 'underride'] as const;
const WORD = /[A-Za-z0-9_]/;

/** @param event type, state_key, sender, room_id and content */
export function matchPush(rules: PushRuleset, event: JsonObject, context: PushContext): PushOutcome {
  for (const kind of KINDS) {
    for (const rule of rules[kind]) {
      if (rule.enabled && matches(kind, rule, event, context)) return outcomeOf(rule);
    }
  }
  return NOTHING;
}

function outcomeOf({ actions }: PushRule): PushOutcome {
  const isNotifying = actions.some((action) => action === 'notify' || action === 'coalesce');
  const isHighlight = actions.some(
    (action) =>
      isObject(action) && own(action, 'set_tweak') === 'highlight' && (own(action, 'value') ?? true) === true,
  );
  return { isNotifying, isHighlight: isNotifying && isHighlight };
}

function matches(
  kind: (typeof KINDS)[number],
  rule: PushRule,
  event: JsonObject,
  context: PushContext,
): boolean {
  switch (kind) {
    case 'room':
      return own(event, 'room_id') === rule.rule_id;
    case 'sender':
      return own(event, 'sender') === rule.rule_id;
    case 'content':
      return matchesGlobIn(own(rule, 'pattern'), property(event, 'content.body'));
    default: {
      const conditions = own(rule, 'conditions') ?? [];
      return isArray(conditions) && conditions.every((condition) => holds(condition, event, context));
    }
  }
}

function holds(condition: JsonValue, event: JsonObject, context: PushContext): boolean {
  if (!isObject(condition)) return false;
  const key = own(condition, 'key');
  const path = typeof key === 'string' ? key : '';
  switch (own(condition, 'kind')) {
    case 'event_match': {
      const pattern = own(condition, 'pattern');
      const value = property(event, path);
      if (typeof pattern !== 'string' || typeof value !== 'string') return false;
      return path === 'content.body'
        ? matchesGlobIn(pattern, value)
        : matchesGlob(lower(pattern), lower(value));
    }
    case 'event_property_is': {
      const value = property(event, path);
      return value !== undefined && !isObject(value) && !isArray(value) && value === own(condition, 'value');
    }
    case 'event_property_contains': {
      const list = property(event, path);
      const value = own(condition, 'value');
      return value !== undefined && isArray(list) && list.includes(value);
    }
    case 'contains_display_name':
      return (
        context.displayName !== undefined &&
        context.displayName !== '' &&
        containsWords(lower(textAt(event, 'content.body')), (from, text) =>
          text.startsWith(lower(context.displayName ?? ''), from)
            ? from + (context.displayName ?? '').length
            : -1,
        )
      );
    case 'room_member_count':
      return countMatches(own(condition, 'is'), context.memberCount);
    case 'sender_notification_permission':
      return context.mayNotify(path);
    default:
      return false;
  }
}

function countMatches(is: JsonValue | undefined, count: number): boolean {
  const match = typeof is === 'string' ? /^(==|<=|>=|<|>|)([0-9]{1,15})$/.exec(is) : null;
  const bound = Number(match?.[2]);
  switch (match?.[1]) {
    case '<':
      return count < bound;
    case '>':
      return count > bound;
    case '<=':
      return count <= bound;
    case '>=':
      return count >= bound;
    default:
      return match !== null && count === bound;
  }
}

/** The value at a dot-separated path; a backslash before a dot or a backslash makes it part of a name. */
function property(event: JsonObject, path: string): JsonValue | undefined {
  let value: JsonValue | undefined = event;
  let name = '';
  for (let at = 0; at <= path.length; at++) {
    const char = path[at];
    if (char === '\\' && (path[at + 1] === '.' || path[at + 1] === '\\')) name += path[++at] ?? '';
    else if (char !== undefined && char !== '.') name += char;
    else {
      value = isObject(value) ? own(value, name) : undefined;
      name = '';
    }
  }
  return value;
}

function textAt(event: JsonObject, path: string): string {
  const value = property(event, path);
  return typeof value === 'string' ? value : '';
}

function lower(text: string): string {
  return text.toLowerCase();
}

/** Does the whole text match, `*` any characters, `?` one? Linear in memory, pattern times text in time. */
function matchesGlob(pattern: string, text: string): boolean {
  if (!pattern.includes('*') && !pattern.includes('?')) return pattern === text;
  return globEnds(pattern, text, 0).includes(text.length);
}

/** Does the pattern match somewhere between word boundaries? */
function matchesGlobIn(pattern: JsonValue | undefined, text: JsonValue | undefined): boolean {
  if (typeof pattern !== 'string' || typeof text !== 'string' || pattern === '') return false;
  const wanted = lower(pattern);
  const body = lower(text).slice(0, BODY_LENGTH_MAX);
  if (!wanted.includes('*') && !wanted.includes('?')) {
    return containsWords(body, (from, inText) =>
      inText.startsWith(wanted, from) ? from + wanted.length : -1,
    );
  }
  for (let from = 0; from <= body.length; from++) {
    if (!isBoundary(body, from)) continue;
    if (globEnds(wanted, body, from).some((end) => isBoundary(body, end))) return true;
  }
  return false;
}

/** Bodies are looked at so far. */
const BODY_LENGTH_MAX = 4_096;

/** Does a match that begins and ends at word boundaries lie anywhere in the text? */
function containsWords(text: string, matchEnd: (from: number, text: string) => number): boolean {
  for (let from = 0; from < text.length; from++) {
    if (!isBoundary(text, from)) continue;
    const end = matchEnd(from, text);
    if (end !== -1 && isBoundary(text, end)) return true;
  }
  return false;
}

/** Is there no word that goes on over this place? */
function isBoundary(text: string, at: number): boolean {
  return !(WORD.test(text[at - 1] ?? ' ') && WORD.test(text[at] ?? ' '));
}

/** Where matches that begin at `from` may end: the pattern taken character by character, all places at once. */
function globEnds(pattern: string, text: string, from: number): number[] {
  let places = new Set<number>([from]);
  for (const char of pattern) {
    const next = new Set<number>();
    if (char === '*') for (let at = Math.min(...places); at <= text.length; at++) next.add(at);
    else {
      for (const at of places) if (at < text.length && (char === '?' || text[at] === char)) next.add(at + 1);
    }
    if (next.size === 0) return [];
    places = next;
  }
  return [...places];
}
