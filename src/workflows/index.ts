/** The workflows that a cadre's workers register. In your own workflow module, export them beside yours. */
export { election } from './election';
export { task } from './task';
