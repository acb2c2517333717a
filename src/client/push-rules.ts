// Push rules: reading them, adding and removing one's own, turning any of them off.
//
// Source: client-server API, "Push Rules: API".

import { PUSH_RULE_KINDS, type PushRuleKind } from '../account/default-push-rules.js';
import type { NewPushRule, PushRulePlace } from '../account/push-rules.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../event/json.js';
import { StateroomError } from '../lib/errors.js';
import { badJson, invalidParam, MatrixError, missingParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { bodyArray, bodyFlag, bodyText, param, queryText } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { storable, storableName } from './stored-json.js';

const RULE_BYTES_MAX = 16_384;
/** Actions of older specifications: left out wherever they are met. */
const HISTORICAL: readonly JsonValue[] = ['dont_notify', 'coalesce'];

function getAll({ user }: AuthenticatedRequest, home: Homeserver): JsonObject {
  return home.accounts.pushRules.content(user.userId);
}

function getGlobal({ user }: AuthenticatedRequest, home: Homeserver): JsonObject {
  return home.accounts.pushRules.ruleset(user.userId);
}

function getRule(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  return refusing(() =>
    home.accounts.pushRules.rule(request.user.userId, kindOf(request), ruleIdOf(request)),
  );
}

async function getEnabled(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  return { enabled: own(await getRule(request, home), 'enabled') ?? false };
}

async function getActions(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  return { actions: own(await getRule(request, home), 'actions') ?? [] };
}

async function putRule(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const kind = kindOf(request);
  const ruleId = storableName(ruleIdOf(request), 'The id of a rule');
  if (ruleId.startsWith('.')) throw invalidParam('Ids that begin with a dot are for predefined rules.');
  if (/[/\\]/.test(ruleId)) throw invalidParam('The id of a rule has no slash and no backslash.');
  const rule = newRule(kind, storable(request.body, RULE_BYTES_MAX));
  await refusing(() =>
    home.accounts.pushRules.put(request.user.userId, kind, ruleId, rule, placeOf(request)),
  );
  return {};
}

async function deleteRule(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const ruleId = ruleIdOf(request);
  if (ruleId.startsWith('.')) throw invalidParam('Predefined rules can be turned off, not deleted.');
  await refusing(() => home.accounts.pushRules.delete(request.user.userId, kindOf(request), ruleId));
  return {};
}

async function putEnabled(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const enabled = bodyFlag(request.body, 'enabled');
  if (enabled === undefined) throw missingParam('enabled is missing.');
  return change(request, home, { enabled });
}

async function putActions(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  return change(request, home, { actions: actionsOf(storable(request.body, RULE_BYTES_MAX)) });
}

async function change(
  request: AuthenticatedRequest,
  home: Homeserver,
  changed: { readonly enabled: boolean } | { readonly actions: readonly JsonValue[] },
): Promise<JsonObject> {
  const { pushRules } = home.accounts;
  await refusing(() => pushRules.change(request.user.userId, kindOf(request), ruleIdOf(request), changed));
  return {};
}

/** @throws MatrixError 404 */
function kindOf(request: AuthenticatedRequest): PushRuleKind {
  const kind = PUSH_RULE_KINDS.find((known) => known === param(request, 'kind'));
  if (kind === undefined) throw notFound('There is no such kind of push rules.');
  return kind;
}

function ruleIdOf(request: AuthenticatedRequest): string {
  return param(request, 'ruleId');
}

function placeOf(request: AuthenticatedRequest): PushRulePlace {
  const before = queryText(request, 'before');
  const after = queryText(request, 'after');
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}

/** What of the body belongs to a rule of its kind. @throws MatrixError 400 */
function newRule(kind: PushRuleKind, body: JsonObject): NewPushRule {
  const actions = actionsOf(body);
  if (kind === 'content') {
    const pattern = bodyText(body, 'pattern');
    if (pattern === undefined) throw missingParam('A content rule needs a pattern.');
    return { actions, pattern };
  }
  if (kind === 'room' || kind === 'sender') return { actions };
  const conditions = bodyArray(body, 'conditions') ?? [];
  for (const condition of conditions) {
    if (!isObject(condition) || typeof own(condition, 'kind') !== 'string') {
      throw badJson('A condition is an object with a kind.');
    }
  }
  return { actions, conditions };
}

/** @throws MatrixError 400 */
function actionsOf(body: JsonObject): readonly JsonValue[] {
  const actions = own(body, 'actions');
  if (actions === undefined) throw missingParam('actions is missing.');
  if (!isArray(actions)) throw badJson('actions is a list.');
  const current = actions.filter((action) => !HISTORICAL.includes(action));
  for (const action of current) {
    const isTweak = isObject(action) && typeof own(action, 'set_tweak') === 'string';
    if (action !== 'notify' && !isTweak) throw badJson('An action is notify, or an object with set_tweak.');
  }
  return current;
}

/** Does it, and tells what the rules refuse in the words of the client API. */
async function refusing<Result>(work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    if (error.code === 'ACCOUNT_PUSH_RULE_UNKNOWN') throw notFound('The push rule was not found.');
    if (error.code === 'ACCOUNT_PUSH_RULE_INVALID') throw new MatrixError(400, 'M_UNKNOWN', error.message);
    throw error;
  }
}

const RULES = '/_matrix/client/v3/pushrules';
const RULE = `${RULES}/global/:kind/:ruleId`;

export const pushRuleRoutes: readonly Route[] = [
  // The specification writes the slash at the end; clients leave it out.
  { method: 'GET', path: RULES, auth: 'user', rateLimit: 'other', handler: getAll },
  { method: 'GET', path: `${RULES}/`, auth: 'user', rateLimit: 'other', handler: getAll },
  { method: 'GET', path: `${RULES}/global`, auth: 'user', rateLimit: 'other', handler: getGlobal },
  { method: 'GET', path: `${RULES}/global/`, auth: 'user', rateLimit: 'other', handler: getGlobal },
  { method: 'GET', path: RULE, auth: 'user', rateLimit: 'other', handler: getRule },
  { method: 'PUT', path: RULE, auth: 'user', rateLimit: 'other', handler: putRule },
  { method: 'DELETE', path: RULE, auth: 'user', rateLimit: 'other', handler: deleteRule },
  { method: 'GET', path: `${RULE}/enabled`, auth: 'user', rateLimit: 'other', handler: getEnabled },
  { method: 'PUT', path: `${RULE}/enabled`, auth: 'user', rateLimit: 'other', handler: putEnabled },
  { method: 'GET', path: `${RULE}/actions`, auth: 'user', rateLimit: 'other', handler: getActions },
  { method: 'PUT', path: `${RULE}/actions`, auth: 'user', rateLimit: 'other', handler: putActions },
];
