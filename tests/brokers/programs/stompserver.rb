# stompserver, whose own program sets class variables in a way that Ruby 3 refuses: the arguments are its options.
require "etc"
require "yaml"
require "daemons/daemonize"
require "optparse"
require "stomp_server"

EventMachine.run do
  options = StompServer::Configurator.new.opts
  server = StompServer::Run.new(options)
  server.start
  protocol = StompServer::Protocols::Stomp
  protocol.class_variable_set(:@@auth_required, server.auth_required)
  protocol.class_variable_set(:@@queue_manager, server.queue_manager)
  protocol.class_variable_set(:@@topic_manager, server.topic_manager)
  protocol.class_variable_set(:@@stompauth, server.stompauth)
  EventMachine.start_server(options[:host], options[:port], protocol)
end
