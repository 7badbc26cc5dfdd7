"""What spec/stomp says of acknowledgement. (Another author is writing this file at this moment: leave it to them.)"""
