"""What clients did at the same time, recorded, and judged from the record alone.

A history holds for each operation who did it, when it began, when it ended or that no reply came, and what was
asked and answered. A checker says of a history what no conforming server would have done. It concludes only from
what is certain: that one thing was over before the other began, never from the order in which things that overlap
may have happened; and an operation of which no reply came may have happened, at any later time, or not.

`events`       what is recorded
`facts`        what has to be known about the server, and what a judgement is
`lives`        when consumers were registered and subscribed
`rebalances`   when groups may have been rebalancing
`records`      what was published, and what lies where
`deliveries`   what was handed out, and what became of it
`reading`      a history with all of that
`overtaking`   records that came before their turn
`loss`, `repetition`, `order`, `placement`, `ownership`, `liveness`, `settlement`, `producers`
               the checkers by subject; `checkers` has them all, and judges
`recorder`     records what clients do; `scenario` lets many do it at once
"""
