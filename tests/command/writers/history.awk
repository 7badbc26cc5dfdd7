# A history of the spec's chapter on histories, written by a shell and awk: a worker of a shop, whose third order is handed
# out again although it was acknowledged (BAD=1), or is not.
function line(op, process, begin, end, more) {
    printf "{\"op\": \"%s\", \"process\": \"%s\", \"begin\": %.1f, \"end\": %.1f, \"outcome\": \"ok\", %s}\n", \
        op, process, begin, end, more
}
function record(n) {
    return sprintf("\"records\": [{\"id\": \"orders/%d\", \"topic\": \"orders\", \"text\": \"order %d\"}]", n, n)
}
BEGIN {
    printf "{\"kind\": \"history\", \"format\": 1, \"system\": {\"name\": \"a shell\"}, "
    printf "\"promises\": [\"no-redelivery-after-acknowledgement\", \"order-by-key\"]}\n"
    line("join", "worker", 0.1, 0.2, "\"consumer\": \"ann\", \"group\": \"shop\", \"topics\": [\"orders\"]")
    for (n = 1; n <= 3; n++) {
        line("publish", "shop", n, n + 0.1, sprintf("\"topic\": \"orders\", \"text\": \"order %d\", \"key\": \"k\"", n))
        line("poll", "worker", n + 0.2, n + 0.3, "\"consumer\": \"ann\", " record(n))
        line("acknowledge", "worker", n + 0.4, n + 0.5, sprintf("\"consumer\": \"ann\", \"id\": \"orders/%d\"", n))
    }
    if (BAD)
        line("poll", "worker", 5, 5.5, "\"consumer\": \"ann\", " record(3))
    else
        line("poll", "worker", 5, 5.5, "\"consumer\": \"ann\", \"records\": []")
}
