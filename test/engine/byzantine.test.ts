// Two that act apart and meet again: what the rules of each room version make of it, in every order of arrival.
//
// Alice founds a room in which Bob, of another server, is a moderator; Charlie joins. Then the servers lose
// each other. Alice raises Charlie to a moderator; Bob, who does not know, bans Charlie. They meet again.
//
// Two conflicts to resolve, one by one:
//   power levels   one branch has Alice's, the other the first ones.
//   Charlie        one branch has the join, the other the ban.
// Both events are power events. Reverse topological power order puts the greater sender's level first, so
// Alice's (100, or a creator's) is tried before Bob's (50), whatever the times and ids. Alice's levels pass.
// Bob's ban is then tried against a state that has these levels, and there Charlie has 50 as well. The rule on
// member events with membership `ban` (5.5 in version 1; see RULE_OF_BAN):
//   "If the user's power level is greater than or equal to the ban level, and the target user's power level is
//   less than the user's power level, allow. Otherwise, reject."
// 50 is not less than 50: the ban does not pass, so that Charlie stays joined and a moderator. It is a matter
// of the rules, not of who met whom first. (Version 12 takes the same way from an empty state.)
//
// Where Alice raises Charlie to less than Bob, the ban passes: Charlie is banned, and has the level for nothing.
//
// Room version 1 resolves type by type: power levels first (of two at one key, by depth, each checked against
// the state with the one before), then memberships: the join and the ban, by depth, the ban checked against the
// resolved levels. The outcome is the same here.
//
// Source: rooms/v1 to rooms/v12, "Authorisation rules", "State resolution".

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Verdict } from '../../src/core/outcome.js';
import type { Pdu } from '../../src/event/pdu.js';
import { ROOM_VERSIONS, type RoomVersion, type RoomVersionRules } from '../../src/event/rules.js';
import type { JsonObject } from '../../src/event/json.js';
import { SERVERS } from '../simulator/cast.js';
import { deliver, openServers, TestServer } from '../simulator/test-server.js';

const test = suite('two that act apart and meet again');

const alice = '@alice:alpha.test';
const bob = '@bob:beta.test';
const charlie = '@charlie:beta.test';

/** "Otherwise, reject" of the rule on bans. It moves when aliases go (6), restricted joins (8), room ids (12) come. */
const RULE_OF_BAN: Readonly<Partial<Record<RoomVersion, string>>> = {
  '1': '5.5.3',
  '2': '5.5.3',
  '3': '5.5.3',
  '4': '5.5.3',
  '5': '5.5.3',
  '6': '4.5.3',
  '7': '4.5.3',
  '8': '4.6.3',
  '9': '4.6.3',
  '10': '4.6.3',
  '11': '4.6.3',
  '12': '5.6.3',
};

interface Story {
  readonly servers: readonly [TestServer, TestServer];
  /** In the order in which they were made. */
  readonly events: readonly Pdu[];
  readonly join: Pdu;
  readonly raise: Pdu;
  readonly ban: Pdu;
  /** What Alice's server said of the ban. */
  readonly verdictOnBan: Verdict | undefined;
}

/** The story, up to both having sent an event on top of all that they saw. */
async function tell(rules: RoomVersionRules, charliesLevel: number): Promise<Story> {
  const [alpha, beta] = await openServers(SERVERS.slice(0, 2), rules);
  if (alpha === undefined || beta === undefined) throw new Error('the story has two servers');
  const events: Pdu[] = [];
  const inPeace = async (server: TestServer, draft: Parameters<TestServer['send']>[0]): Promise<Pdu> => {
    const sent = await server.send(draft);
    events.push(sent);
    await deliver(server === alpha ? beta : alpha, [sent]);
    return sent;
  };
  const member = (sender: string, stateKey: string, membership: string) => ({
    type: 'm.room.member',
    sender,
    stateKey,
    content: { membership },
  });
  const levels = (more: JsonObject) => ({
    type: 'm.room.power_levels',
    sender: alice,
    stateKey: '',
    // From version 12 the creator stands above all levels and must not be named in them.
    content: {
      users: { ...(rules.authorisation.creatorsArePrivileged ? {} : { [alice]: 100 }), [bob]: 50, ...more },
    },
  });

  events.push(await alpha.found(alice));
  await deliver(beta, events);
  await inPeace(alpha, member(alice, alice, 'join'));
  await inPeace(alpha, levels({}));
  await inPeace(alpha, {
    type: 'm.room.join_rules',
    sender: alice,
    stateKey: '',
    content: { join_rule: 'public' },
  });
  await inPeace(beta, member(bob, bob, 'join'));
  const join = await inPeace(beta, member(charlie, charlie, 'join'));

  const raise = await alpha.send(levels({ [charlie]: charliesLevel }));
  const ban = await beta.send(member(bob, charlie, 'ban'));
  const [verdictOnBan] = await deliver(alpha, [ban]);
  await deliver(beta, [raise]);
  const message = (sender: string) => ({ type: 'm.room.message', sender, content: { body: 'hello again' } });
  const mergeOfAlice = await alpha.send(message(alice));
  const mergeOfBob = await beta.send(message(bob));
  await deliver(alpha, [mergeOfBob]);
  await deliver(beta, [mergeOfAlice]);
  events.push(raise, ban, mergeOfAlice, mergeOfBob);
  return { servers: [alpha, beta], events, join, raise, ban, verdictOnBan };
}

async function close(story: Story): Promise<void> {
  for (const { engine } of story.servers) await engine.close();
}

for (const rules of ROOM_VERSIONS) {
  test(`version ${rules.version}: a ban by an equal does not stand once the levels are known`, async () => {
    const story = await tell(rules, 50);
    const { join, raise } = story;
    for (const server of story.servers) {
      assert.is(
        server.current('m.room.power_levels')?.eventId,
        raise.eventId,
        'the levels are those of Alice',
      );
      assert.is(server.current('m.room.member', charlie)?.eventId, join.eventId, 'Charlie is joined');
    }
    checkAgreement(story.servers);
    // Alice's server had the higher level for Charlie when the ban came: soft failed, by the same rule.
    assert.is(story.verdictOnBan?.verdict, 'soft_failed');
    assert.is(story.verdictOnBan?.rule, RULE_OF_BAN[rules.version]);
    // Bob's server knew the ban first; the levels were allowed by its current state.
    assert.is(story.servers[1].known(raise.eventId).verdict, 'accepted');
    assert.is(story.servers[1].known(story.ban.eventId).verdict, 'accepted');
    await close(story);
  });

  test(`version ${rules.version}: a ban by a greater one stands`, async () => {
    const story = await tell(rules, 49);
    for (const server of story.servers) {
      assert.is(
        server.current('m.room.power_levels')?.eventId,
        story.raise.eventId,
        'the levels are those of Alice',
      );
      assert.is(server.current('m.room.member', charlie)?.eventId, story.ban.eventId, 'Charlie is banned');
      assert.is(server.known(story.ban.eventId).verdict, 'accepted');
    }
    checkAgreement(story.servers);
    await close(story);
  });

  test(`version ${rules.version}: the states are the same in every order of arrival`, async () => {
    const story = await tell(rules, 50);
    const [alpha] = story.servers;
    const roots = story.events.map(({ eventId }) => alpha.engine.stateAt(eventId).root);
    const peace = story.events.slice(0, -4);
    for (const order of permutations(story.events.slice(-4))) {
      for (const arrival of [
        [...peace, ...order],
        [...order, ...peace],
        [...order.slice(0, 2), ...peace, ...order.slice(2)],
      ]) {
        const late = await TestServer.open(alpha.name, rules);
        await deliver(late, arrival);
        assert.equal(
          story.events.map(({ eventId }) => late.engine.stateAt(eventId).root),
          roots,
        );
        assert.is(late.current('m.room.member', charlie)?.eventId, story.join.eventId);
        await late.engine.close();
      }
    }
    await close(story);
  });
}

/** Both know the same of every event, and have one current state. */
function checkAgreement([alpha, beta]: Story['servers']): void {
  assert.equal(
    alpha.engine.currentState(alpha.roomId).sorted(),
    beta.engine.currentState(beta.roomId).sorted(),
  );
  assert.is(alpha.engine.currentState(alpha.roomId).root, beta.engine.currentState(beta.roomId).root);
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  );
}

test.run();
