// The check of import floors catches what it is there for, and lets the house as it stands through.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { findViolations, type ImportViolation } from '../../tools/imports/floors.js';

const floors = suite('import floors');

/** Violations in a house made of the given files. */
function violationsIn(files: Readonly<Record<string, string>>): ImportViolation[] {
  const root = mkdtempSync(join(tmpdir(), 'stateroom-floors-'));
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    return findViolations(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

floors('a lower folder may not import a higher one, and the line is named', () => {
  const violations = violationsIn({
    'src/tree/node.ts': "// head\n\nimport type {\n  Pdu,\n} from '../event/pdu.js';\n",
    'src/event/pdu.ts': 'export type Pdu = string;\n',
  });
  assert.is(violations.length, 1);
  assert.is(violations[0]?.file, 'src/tree/node.ts');
  assert.is(violations[0]?.line, 5);
  assert.is(violations[0]?.reason, 'tree may import lib, tree; not event');
});

floors('re-exports and dynamic imports count as imports', () => {
  const violations = violationsIn({
    'src/store/a.ts': "export * from '../core/b.js';\nconst c = await import('../room/c.js');\n",
    'src/core/b.ts': '',
    'src/room/c.ts': '',
  });
  assert.equal(
    violations.map(({ line, specifier }) => [line, specifier]),
    [
      [1, '../core/b.js'],
      [2, '../room/c.js'],
    ],
  );
});

floors('a higher folder may import lower ones, and everyone may import packages', () => {
  const violations = violationsIn({
    'src/room/a.ts':
      "import { join } from 'node:path';\nimport '../lib/b.js';\n// import '../cli/main.js';\n",
    'src/lib/b.ts': '',
  });
  assert.equal(violations, []);
});

floors('a circle between files of one folder is found', () => {
  const violations = violationsIn({
    'src/lib/a.ts': "import './b.js';\n",
    'src/lib/b.ts': "import './c.js';\n",
    'src/lib/c.ts': "import './a.js';\n",
  });
  assert.is(violations.length, 1);
  assert.is(violations[0]?.reason, 'circle: src/lib/a.ts > src/lib/b.ts > src/lib/c.ts > src/lib/a.ts');
});

floors('only the command line may use the generator, and nothing else of tools', () => {
  const violations = violationsIn({
    'src/cli/a.ts': "import '../../tools/generate/room.js';\nimport '../../tools/run-tests.js';\n",
    'src/core/b.ts': "import '../../tools/generate/room.js';\n",
    'tools/generate/room.ts': "import '../../src/lib/c.js';\nimport '../../test/d.js';\n",
    'src/lib/c.ts': '',
  });
  assert.equal(
    violations.map(({ file, line }) => `${file}:${line}`),
    ['src/cli/a.ts:2', 'src/core/b.ts:1', 'tools/generate/room.ts:2'],
  );
});

floors('a folder of src without a floor is refused', () => {
  const violations = violationsIn({ 'src/misc/a.ts': "import '../lib/b.js';\n", 'src/lib/b.ts': '' });
  assert.match(violations[0]?.reason ?? '', /src\/misc has no floor/);
});

floors.run();
