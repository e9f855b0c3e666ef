/** Settings of a workload, as annotations in its manifest: policy name without prefix → value. */
export type Policies = ReadonlyMap<string, string>
