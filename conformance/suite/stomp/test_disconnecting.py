"""What spec/stomp says of disconnecting. (Another author is writing this file at this moment: leave it to them.)"""
