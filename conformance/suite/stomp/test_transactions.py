"""What spec/stomp says of transactions. (Another author is writing this file at this moment: leave it to them.)"""
