/** The workflows that a cadre's workers register. In your own workflow module, export them beside yours. */
export { agent } from './agent';
export { breaker } from './breaker';
export { budget } from './budget';
export { election } from './election';
export { lock } from './lock';
export { saga } from './saga';
export { task } from './task';
export { type OwnCompensation, type OwnStep, type OwnUndo, Saga } from './own-saga';
