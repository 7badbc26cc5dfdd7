"""What spec/stomp says of sending. (Another author is writing this file at this moment: leave it to them.)"""
