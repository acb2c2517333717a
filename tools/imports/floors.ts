// The house's floors: which folder may import which, and that no two files import each other in a circle.
//
// A folder may import itself and the folders below it. Beside src/: tools/ stands on src/, the benchmarks on
// both, tests on everything; the command line alone may use the room generator of tools/generate.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** The folders of src/, from the ground up; `index.ts` stands on top. */
const floors = [
  'lib',
  'tree',
  'event',
  'store',
  'room',
  'core',
  'reader',
  'engine',
  'account',
  'federation',
  'client',
  'server',
  'cli',
  'index.ts',
] as const;

/** An import that the house does not allow. */
export interface ImportViolation {
  /** Path below the checked root, with `/`. */
  readonly file: string;
  readonly line: number;
  readonly specifier: string;
  /** What is wrong, and what would be allowed. */
  readonly reason: string;
}

interface Import {
  readonly specifier: string;
  readonly line: number;
  /** The source file it names, below the root; undefined for packages. */
  readonly target: string | undefined;
}

const checkedFolders = ['src', 'tools', 'native-free-bench', 'test'];

// The formatter puts every import statement at the start of its line, so prose in comments cannot match.
const importPattern =
  /^(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

/** All violations below a root folder that holds `src`, `tools`, `native-free-bench` and `test`, sorted by place. */
export function findViolations(root: string): ImportViolation[] {
  const imports = new Map<string, Import[]>();
  for (const folder of checkedFolders) {
    for (const file of typescriptFiles(join(root, folder))) {
      imports.set(slashed(relative(root, file)), importsOf(root, file));
    }
  }
  const violations = [...imports].flatMap(([file, list]) => forbiddenImports(file, list));
  return [...violations, ...findCircles(imports)].sort((a, b) =>
    a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1,
  );
}

function forbiddenImports(file: string, imports: readonly Import[]): ImportViolation[] {
  return imports.flatMap(({ specifier, line, target }) => {
    const reason = target === undefined ? undefined : whyForbidden(file, target);
    return reason === undefined ? [] : [{ file, line, specifier, reason }];
  });
}

/** Why one file may not import another, or undefined when it may. */
function whyForbidden(file: string, target: string): string | undefined {
  const [area = '', from = ''] = file.split('/');
  const [targetArea = '', to = ''] = target.split('/');
  if (area === 'test') return undefined;
  if (area !== 'src') {
    const allowed = area === 'tools' ? ['src', 'tools'] : ['src', 'tools', area];
    return allowed.includes(targetArea) ? undefined : `${area}/ may import ${allowed.join('/, ')}/`;
  }
  if (targetArea !== 'src') {
    if (from === 'cli' && target.startsWith('tools/generate/')) return undefined;
    return `src/ imports nothing outside src/ (only src/cli may use tools/generate)`;
  }
  const floor = floorOf(from);
  if (floor === -1) return `src/${from} has no floor: add it to tools/imports/floors.ts`;
  if (floorOf(to) <= floor && floorOf(to) !== -1) return undefined;
  return `${from} may import ${floors.slice(0, floor + 1).join(', ')}; not ${to}`;
}

function floorOf(folder: string): number {
  return floors.findIndex((floor) => floor === folder);
}

/** Circles between files: each is reported once, at the import that closes it. */
function findCircles(imports: ReadonlyMap<string, readonly Import[]>): ImportViolation[] {
  const violations: ImportViolation[] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    path.push(file);
    for (const { specifier, line, target } of imports.get(file) ?? []) {
      if (target === undefined || finished.has(target)) continue;
      const start = path.indexOf(target);
      if (start === -1) visit(target);
      else
        violations.push({
          file,
          line,
          specifier,
          reason: `circle: ${[...path.slice(start), target].join(' > ')}`,
        });
    }
    path.pop();
    finished.add(file);
  };
  for (const file of imports.keys()) if (!finished.has(file)) visit(file);
  return violations;
}

function importsOf(root: string, file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(importPattern)].map((match) => {
    const specifier = match[1] ?? match[2] ?? '';
    const at = match.index + match[0].lastIndexOf(specifier);
    const line = text.slice(0, at).split('\n').length;
    if (!specifier.startsWith('.')) return { specifier, line, target: undefined };
    const target = resolve(dirname(file), specifier).replace(/\.js$/, '.ts');
    return { specifier, line, target: slashed(relative(root, target)) };
  });
}

function typescriptFiles(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
    .sort();
}

function slashed(path: string): string {
  return path.split(sep).join('/');
}
