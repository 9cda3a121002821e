"""Everything that reaches into the internals of Faust or aiokafka, and the upstream behaviour that each patch works around.

No other package touches a private name of either. Each module says what upstream does, in which version, and which fault that caused here.

* `transport`: the consumer and producer: long polls, partitions without a commit, the flow after a rebalance.
* `commits`: which offset may be committed.
* `resumption`: reading on after rebalances.
* `intake`: records without Faust's serialisers.
* `consumer`: the consumer's thread and its positions.
"""
