// A user's push rules: the predefined ones as the user changed them, and the user's own.
//
//   !user/ID    stateroom.push_rules / ''    { own: { kind: [rule] }, changed: { kind: { rule id: change } } }
//
// Only what the user changed is stored, so that predefined rules may get better under everybody.
// Source: client-server API, "Push Rules".

import type { UserId } from '../event/ids.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../event/json.js';
import { ClockCache } from '../lib/clock-cache.js';
import {
  defaultPushRules,
  MASTER_RULE,
  PUSH_RULE_KINDS,
  type PushRule,
  type PushRuleKind,
} from './default-push-rules.js';
import { PushRuleInvalidError, PushRuleUnknownError } from './errors.js';
import { type AccountParts, isTrue, textOf, userRoom } from './parts.js';

/** The record's type: when it changes, so does the user's `m.push_rules`. */
export const PUSH_RULES = 'stateroom.push_rules';
const OWN_RULES_MAX = 1_000;
/** What the rules of users may take in memory, kept as they were made, about. */
const MADE_BYTES_MAX = 4 * 1024 * 1024;
/** What a user's rules take who changed none, and how much more than its text what is stored takes. */
const MADE_BYTES = 2_000;
const STORED_FACTOR = 4;

/** The rules by kind, most important first, as clients read them. */
export type PushRuleset = Readonly<Record<PushRuleKind, readonly PushRule[]>>;

/** Where to put a rule of the user's among the others. */
export interface PushRulePlace {
  readonly before?: string;
  readonly after?: string;
}

/** What a rule of the user's says. */
export type NewPushRule = Pick<PushRule, 'actions'> & JsonObject;

interface Stored {
  readonly own: PushRuleset;
  /** What the user changed of the predefined rules. */
  readonly changed: Readonly<Record<PushRuleKind, JsonObject>>;
}

/** The rules of a user as they were made of what is stored. */
interface Made {
  /** As it was read: as long as it is the very same, so are the rules. */
  readonly content: JsonObject | undefined;
  readonly ruleset: PushRuleset;
}

export class PushRules {
  readonly #parts: AccountParts;
  readonly #made = new ClockCache<UserId, Made>(MADE_BYTES_MAX);

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /** All rules that hold for the user: mostly the same object each time, while nothing changes. */
  ruleset(userId: UserId): PushRuleset {
    const content = this.#content(userId);
    const known = this.#made.get(userId);
    if (known !== undefined && known.content === content) return known.ruleset;
    const ruleset = this.#make(userId, content);
    const bytes = content === undefined ? 0 : STORED_FACTOR * JSON.stringify(content).length;
    this.#made.set(userId, { content, ruleset }, MADE_BYTES + bytes);
    return ruleset;
  }

  #make(userId: UserId, content: JsonObject | undefined): PushRuleset {
    const stored = storedIn(content);
    const predefined = defaultPushRules(userId);
    return byKind((kind) => {
      const standing = predefined[kind].map((rule) =>
        changedRule(rule, own(stored.changed[kind], rule.rule_id)),
      );
      const isMaster = (rule: PushRule): boolean => rule.rule_id === MASTER_RULE;
      return [
        ...standing.filter(isMaster),
        ...stored.own[kind],
        ...standing.filter((rule) => !isMaster(rule)),
      ];
    });
  }

  /** The content of the user's `m.push_rules`. */
  content(userId: UserId): JsonObject {
    return { global: this.ruleset(userId) };
  }

  /** @throws ACCOUNT_PUSH_RULE_UNKNOWN */
  rule(userId: UserId, kind: PushRuleKind, ruleId: string): PushRule {
    const found = this.ruleset(userId)[kind].find((rule) => rule.rule_id === ruleId);
    if (found === undefined) throw unknownRule(kind, ruleId);
    return found;
  }

  /**
   * Adds a rule of the user's, or changes it. A new one is enabled, and the most important of the user's unless a
   * place is given; one that is there keeps its place and whether it is enabled.
   * @throws ACCOUNT_PUSH_RULE_INVALID for a place beside no rule of the user's, or for too many
   */
  async put(
    userId: UserId,
    kind: PushRuleKind,
    ruleId: string,
    rule: NewPushRule,
    place: PushRulePlace = {},
  ): Promise<void> {
    const stored = this.#stored(userId);
    const rules = stored.own[kind];
    const at = rules.findIndex(({ rule_id }) => rule_id === ruleId);
    if (at === -1 && rules.length >= OWN_RULES_MAX) {
      throw new PushRuleInvalidError(`a user has at most ${OWN_RULES_MAX} push rules of a kind`);
    }
    const written: PushRule = {
      ...rule,
      rule_id: ruleId,
      default: false,
      enabled: rules[at]?.enabled ?? true,
    };
    const others = rules.filter((_, i) => i !== at);
    const index = indexOf(others, place) ?? Math.max(0, at);
    const placed = [...others.slice(0, index), written, ...others.slice(index)];
    await this.#write(userId, { ...stored, own: { ...stored.own, [kind]: placed } });
  }

  /** Takes a rule of the user's away. @throws ACCOUNT_PUSH_RULE_UNKNOWN */
  async delete(userId: UserId, kind: PushRuleKind, ruleId: string): Promise<void> {
    const stored = this.#stored(userId);
    const rules = stored.own[kind];
    const left = rules.filter(({ rule_id }) => rule_id !== ruleId);
    if (left.length === rules.length) throw unknownRule(kind, ruleId);
    await this.#write(userId, { ...stored, own: { ...stored.own, [kind]: left } });
  }

  /** Enables a rule or its opposite, or gives it other actions; predefined ones too. @throws ACCOUNT_PUSH_RULE_UNKNOWN */
  async change(
    userId: UserId,
    kind: PushRuleKind,
    ruleId: string,
    change: Partial<Pick<PushRule, 'enabled' | 'actions'>>,
  ): Promise<void> {
    const stored = this.#stored(userId);
    const current = this.rule(userId, kind, ruleId);
    if (current.default) {
      const before = own(stored.changed[kind], ruleId);
      const changes = {
        ...stored.changed[kind],
        [ruleId]: { ...(isObject(before) ? before : {}), ...change },
      };
      await this.#write(userId, { ...stored, changed: { ...stored.changed, [kind]: changes } });
      return;
    }
    const rules = stored.own[kind].map((rule) => (rule.rule_id === ruleId ? { ...rule, ...change } : rule));
    await this.#write(userId, { ...stored, own: { ...stored.own, [kind]: rules } });
  }

  #stored(userId: UserId): Stored {
    return storedIn(this.#content(userId));
  }

  #content(userId: UserId): JsonObject | undefined {
    return this.#parts.engine.internal.get(userRoom(userId), PUSH_RULES, '');
  }

  async #write(userId: UserId, { own: ownRules, changed }: Stored): Promise<void> {
    await this.#parts.engine.internal.write([
      { roomId: userRoom(userId), type: PUSH_RULES, stateKey: '', content: { own: ownRules, changed } },
    ]);
  }
}

function storedIn(content: JsonObject = {}): Stored {
  const ownRules = objectOf(content, 'own');
  const changed = objectOf(content, 'changed');
  return {
    own: byKind((kind) => rulesOf(own(ownRules, kind))),
    changed: byKind((kind) => objectOf(changed, kind)),
  };
}

function byKind<T>(make: (kind: PushRuleKind) => T): Readonly<Record<PushRuleKind, T>> {
  return Object.fromEntries(PUSH_RULE_KINDS.map((kind) => [kind, make(kind)])) as Record<PushRuleKind, T>;
}

function objectOf(content: JsonObject, key: string): JsonObject {
  const value = own(content, key);
  return isObject(value) ? value : {};
}

function rulesOf(value: JsonValue | undefined): readonly PushRule[] {
  return isArray(value) ? value.filter(isObject).map(ruleOf) : [];
}

function ruleOf(content: JsonObject): PushRule {
  return {
    ...content,
    rule_id: textOf(content, 'rule_id') ?? '',
    default: false,
    enabled: isTrue(content, 'enabled'),
    actions: actionsOf(content) ?? [],
  };
}

function actionsOf(content: JsonObject): readonly JsonValue[] | undefined {
  const actions = own(content, 'actions');
  return isArray(actions) ? actions : undefined;
}

function changedRule(rule: PushRule, change: JsonValue | undefined): PushRule {
  if (!isObject(change)) return rule;
  const enabled = own(change, 'enabled');
  return {
    ...rule,
    enabled: typeof enabled === 'boolean' ? enabled : rule.enabled,
    actions: actionsOf(change) ?? rule.actions,
  };
}

function indexOf(rules: readonly PushRule[], { before, after }: PushRulePlace): number | undefined {
  const beside = before ?? after;
  if (beside === undefined) return undefined;
  const at = rules.findIndex(({ rule_id }) => rule_id === beside);
  if (at === -1)
    throw new PushRuleInvalidError(`before/after rule not found: ${beside}`, { rule_id: beside });
  return before === undefined ? at + 1 : at;
}

function unknownRule(kind: PushRuleKind, ruleId: string): Error {
  return new PushRuleUnknownError('the push rule was not found', { kind, rule_id: ruleId });
}
