"""Brokers that people run, installed, started, judged and stopped by name: `python -m tests.brokers NAME`.

| module | subject |
| --- | --- |
| `table` | the brokers: version, installation, configuration, target file |
| `installing`, `debian`, `maven`, `npm`, `pypi`, `gomodule` | one kind of installation each |
| `rabbitmq`, `activemq`, `artemis`, `small` | configuration and command line of the brokers |
| `running` | the process: free ports, readiness, stop |
| `judging` | the run of the suite, and `broker.json` beside its report |

`programs/` holds main programs for brokers that are libraries.
"""
