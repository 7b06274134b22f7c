// Which program this is: what is kept between runs holds for one build of res only.

/** Put in by the compilation (scripts/build.mjs). */
declare const RES_BUILD: string;

/** Undefined when the sources run uncompiled: then nothing is kept between runs. */
export const buildId: string | undefined = typeof RES_BUILD === 'string' ? RES_BUILD : undefined;
