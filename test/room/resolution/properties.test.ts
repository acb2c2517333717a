// The fast resolver against the definitions, on random graphs: the auth difference, the subgraph, the whole.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { authDifference } from '../../../src/room/resolution/auth-difference.js';
import { UnconflictedState, findConflicts } from '../../../src/room/resolution/conflicts.js';
import type { ResolutionContext } from '../../../src/room/resolution/context.js';
import { EventReader } from '../../../src/room/resolution/event-reader.js';
import { resolve } from '../../../src/room/resolution/resolve.js';
import { conflictedSubgraph } from '../../../src/room/resolution/subgraph.js';
import { referenceAuthDifference, referenceResolve, referenceSubgraph } from '../../reference/resolve.js';
import { MapStates, type MapRoot } from './map-states.js';
import { seeded, shuffled } from './permutations.js';
import { plainOf, randomDag, type RandomDag } from './random-dag.js';

const test = suite('state resolution of random graphs');

function contextOf({ room, states }: RandomDag, citersMax: number): ResolutionContext<MapRoot> {
  const maps = new MapStates();
  const conflicts = findConflicts(
    maps,
    states.map((events) => maps.of(events)),
  );
  const unconflicted = new UnconflictedState(maps, conflicts);
  return {
    rules: room.rules,
    conflicts,
    unconflicted,
    events: new EventReader(room.graph, 1_000),
    citersMax,
  };
}

for (const version of ['2', '10', '12']) {
  test(`version ${version}: the auth difference is that of the definition, whatever the budget`, () => {
    fc.assert(
      fc.property(randomDag(version), fc.constantFrom(0, 1, 5, 4_096), (dag, citersMax) => {
        const expected = referenceAuthDifference(dag.room, dag.states.map(plainOf));
        assert.equal([...authDifference(contextOf(dag, citersMax))].sort(), [...expected].sort());
      }),
      { numRuns: 1_500 },
    );
  });

  test(`version ${version}: the conflicted subgraph is that of the definition`, () => {
    fc.assert(
      fc.property(randomDag(version), (dag) => {
        const context = contextOf(dag, 0);
        const expected = referenceSubgraph(dag.room, context.conflicts.values.keys());
        assert.equal([...conflictedSubgraph(context)].sort(), [...expected].sort());
      }),
      { numRuns: 500 },
    );
  });
}

for (const version of ['1', '2', '6', '10', '11', '12']) {
  test(`version ${version}: the result is the reference's, in any order, and resolves to itself`, () => {
    fc.assert(
      fc.property(randomDag(version), fc.nat(), (dag, seed) => {
        const { room } = dag;
        const maps = new MapStates();
        const roots = dag.states.map((events) => maps.of(events));
        const { root, trace } = resolve(room.rules, roots, maps, room.graph);
        const expected = referenceResolve(room, dag.states.map(plainOf));
        const found = [...root.entries].map(([key, { eventId }]) => [key, eventId]);
        assert.equal(found.sort(), [...expected].sort());
        const other = resolve(room.rules, shuffled([...roots, ...roots], seeded(seed)), maps, room.graph);
        assert.is(maps.hash(other.root), maps.hash(root));
        assert.equal(other.trace, trace);
        assert.equal(JSON.parse(JSON.stringify(trace)), trace);
        assert.is(resolve(room.rules, [root, root], maps, room.graph).root, root);
        for (const near of [root, maps.empty, ...roots]) {
          const made = resolve(room.rules, roots, maps, room.graph, { near });
          assert.is(maps.hash(made.root), maps.hash(root), 'whatever it is made from');
          assert.equal(made.trace, trace);
        }
      }),
      { numRuns: 400 },
    );
  });
}

test.run();
