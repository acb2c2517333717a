// `npm run lint:imports`: prints every import that the house's floors do not allow; exits 1 when there is one.

import { findViolations } from './imports/floors.js';

const root = process.argv[2] ?? process.cwd();
const violations = findViolations(root);
for (const { file, line, specifier, reason } of violations) {
  console.error(`${file}:${line}: imports '${specifier}': ${reason}`);
}
if (violations.length > 0) process.exitCode = 1;
else console.log('imports keep to their floors, without circles');
