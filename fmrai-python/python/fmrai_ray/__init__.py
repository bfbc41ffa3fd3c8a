"""Plans over large data on a cluster of Ray, or on one machine: ``fmrai-ray run plan.json --shards 64``.

The data are cut into shards, which are tasks; what they have seen travels through the object store and is merged as a tree, by tasks
too. The program ``fmrai`` does the work, so everything that holds for ``fmrai run --shard`` and ``fmrai merge`` holds here.
"""
